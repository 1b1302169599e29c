package worker

import (
	"errors"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// A reader of JSON into interface{} values, with the same results as encoding/json. The host has validated the text
// already, so this one may be quick: one copy of the whole text, of which all strings are parts.
type decoder struct {
	text  string
	at    int
	depth int
}

var errNotJSON = errors.New("the text is not JSON")

const maxDepth = 10000

func decodeAny(text string) (interface{}, error) {
	d := decoder{text: text}
	value, err := d.value()
	if err != nil {
		return nil, err
	}
	if d.space(); d.at != len(d.text) {
		return nil, errNotJSON
	}
	return value, nil
}

func (d *decoder) space() {
	for d.at < len(d.text) {
		switch d.text[d.at] {
		case ' ', '\t', '\n', '\r':
			d.at++
		default:
			return
		}
	}
}

func (d *decoder) word(word string, value interface{}) (interface{}, error) {
	if len(d.text)-d.at < len(word) || d.text[d.at:d.at+len(word)] != word {
		return nil, errNotJSON
	}
	d.at += len(word)
	return value, nil
}

func (d *decoder) value() (interface{}, error) {
	d.space()
	if d.at >= len(d.text) {
		return nil, errNotJSON
	}
	switch d.text[d.at] {
	case '{':
		return d.object()
	case '[':
		return d.array()
	case '"':
		return d.str()
	case 't':
		return d.word("true", true)
	case 'f':
		return d.word("false", false)
	case 'n':
		return d.word("null", nil)
	}
	return d.number()
}

func (d *decoder) object() (interface{}, error) {
	object := make(map[string]interface{})
	err := d.members(func(key string) error {
		value, err := d.value()
		object[key] = value
		return err
	})
	return object, err
}

// members reads an object, the cursor on its '{', and has `each` read the value after every key.
func (d *decoder) members(each func(key string) error) error {
	if d.depth++; d.depth > maxDepth {
		return errNotJSON
	}
	d.at++
	d.space()
	if d.at < len(d.text) && d.text[d.at] == '}' {
		d.at++
		d.depth--
		return nil
	}
	for {
		d.space()
		if d.at >= len(d.text) || d.text[d.at] != '"' {
			return errNotJSON
		}
		key, err := d.str()
		if err != nil {
			return err
		}
		d.space()
		if d.at >= len(d.text) || d.text[d.at] != ':' {
			return errNotJSON
		}
		d.at++
		if err := each(key); err != nil {
			return err
		}
		d.space()
		if d.at >= len(d.text) {
			return errNotJSON
		}
		c := d.text[d.at]
		d.at++
		if c == '}' {
			d.depth--
			return nil
		}
		if c != ',' {
			return errNotJSON
		}
	}
}

func (d *decoder) array() (interface{}, error) {
	if d.depth++; d.depth > maxDepth {
		return nil, errNotJSON
	}
	d.at++
	array := make([]interface{}, 0, 4)
	d.space()
	if d.at < len(d.text) && d.text[d.at] == ']' {
		d.at++
		d.depth--
		return array, nil
	}
	for {
		value, err := d.value()
		if err != nil {
			return nil, err
		}
		array = append(array, value)
		d.space()
		if d.at >= len(d.text) {
			return nil, errNotJSON
		}
		c := d.text[d.at]
		d.at++
		if c == ']' {
			d.depth--
			return array, nil
		}
		if c != ',' {
			return nil, errNotJSON
		}
	}
}

func (d *decoder) number() (interface{}, error) {
	start := d.at
	integer := uint64(0)
	simple := true
	for d.at < len(d.text) {
		c := d.text[d.at]
		if c >= '0' && c <= '9' {
			integer = integer*10 + uint64(c-'0')
		} else if c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E' {
			simple = false
		} else {
			break
		}
		d.at++
	}
	// Fifteen digits fit a float64 exactly, so the integer is what ParseFloat would give.
	if size := d.at - start; simple && size > 0 && size <= 15 {
		return float64(integer), nil
	}
	value, err := strconv.ParseFloat(d.text[start:d.at], 64)
	if err != nil {
		return nil, errors.New("the number " + d.text[start:d.at] + " does not fit a float64")
	}
	return value, nil
}

// str reads a string, the cursor on its opening quote.
func (d *decoder) str() (string, error) {
	start := d.at + 1
	for i := start; i < len(d.text); i++ {
		switch c := d.text[i]; {
		case c == '"':
			d.at = i + 1
			return d.text[start:i], nil
		case c == '\\':
			return d.escaped(start, i)
		case c < 0x20:
			return "", errNotJSON
		}
	}
	return "", errNotJSON
}

// escaped finishes a string that has an escape sequence at i.
func (d *decoder) escaped(start, i int) (string, error) {
	out := append(make([]byte, 0, i-start+32), d.text[start:i]...)
	for i < len(d.text) {
		c := d.text[i]
		if c == '"' {
			d.at = i + 1
			return string(out), nil
		}
		if c < 0x20 {
			return "", errNotJSON
		}
		if c != '\\' {
			out = append(out, c)
			i++
			continue
		}
		if i+1 >= len(d.text) {
			return "", errNotJSON
		}
		i += 2
		switch d.text[i-1] {
		case '"', '\\', '/':
			out = append(out, d.text[i-1])
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r, ok := hex4(d.text, i)
			if !ok {
				return "", errNotJSON
			}
			i += 4
			if utf16.IsSurrogate(r) {
				low, paired := rune(0), false
				if i+1 < len(d.text) && d.text[i] == '\\' && d.text[i+1] == 'u' {
					low, paired = hex4(d.text, i+2)
				}
				// A lone half becomes U+FFFD, and what follows it stands for itself.
				if r = utf16.DecodeRune(r, low); paired && r != utf8.RuneError {
					i += 6
				}
			}
			var encoded [utf8.UTFMax]byte
			out = append(out, encoded[:utf8.EncodeRune(encoded[:], r)]...)
		default:
			return "", errNotJSON
		}
	}
	return "", errNotJSON
}

func hex4(text string, at int) (rune, bool) {
	if at+4 > len(text) {
		return 0, false
	}
	value, err := strconv.ParseUint(text[at:at+4], 16, 32)
	return rune(value), err == nil
}
