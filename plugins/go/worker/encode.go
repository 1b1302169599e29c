package worker

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"sort"
	"strconv"
	"unicode/utf8"
)

// The host reads JSON of 256 levels. A result nested deeper contains itself, for all we can tell; recursing on would end
// the process, which nothing can catch.
const maxResultDepth = 250

var errTooDeep = errors.New("it contains itself or is nested deeper than " + strconv.Itoa(maxResultDepth) + " levels")

// appendJSON appends value as JSON, with the output of encoding/json except that <, > and & stay as they are. What
// handlers mostly return goes without reflection, the rest through encoding/json.
func appendJSON(b []byte, value interface{}, depth int) ([]byte, error) {
	if depth > maxResultDepth {
		return b, errTooDeep
	}
	switch v := value.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case string:
		return appendString(b, v), nil
	case float64:
		return appendFloat(b, v)
	case int:
		return strconv.AppendInt(b, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case map[string]interface{}:
		return appendObject(b, v, depth)
	case []interface{}:
		if v == nil {
			return append(b, "null"...), nil
		}
		b = append(b, '[')
		var err error
		for i, element := range v {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendJSON(b, element, depth+1); err != nil {
				return b, err
			}
		}
		return append(b, ']'), nil
	}
	return appendReflected(b, value, depth)
}

func appendObject(b []byte, object map[string]interface{}, depth int) ([]byte, error) {
	if object == nil {
		return append(b, "null"...), nil
	}
	var room [16]string
	keys := room[:0]
	for key := range object {
		keys = append(keys, key)
	}
	if len(keys) <= cap(room) {
		for i := 1; i < len(keys); i++ {
			for j := i; j > 0 && keys[j] < keys[j-1]; j-- {
				keys[j], keys[j-1] = keys[j-1], keys[j]
			}
		}
	} else {
		sort.Strings(keys)
	}
	b = append(b, '{')
	var err error
	for i, key := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, key), ':')
		if b, err = appendJSON(b, object[key], depth+1); err != nil {
			return b, err
		}
	}
	return append(b, '}'), nil
}

func appendReflected(b []byte, value interface{}, depth int) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return b, err
	}
	text := bytes.TrimSuffix(out.Bytes(), []byte{'\n'})
	if depth+depthOf(text) > maxResultDepth {
		return b, errTooDeep
	}
	// encoding/json passes on what a MarshalJSON method wrote inside of its strings.
	if !utf8.Valid(text) {
		return b, errors.New("it contains text that is not UTF-8")
	}
	return append(b, text...), nil
}

// depthOf counts the levels of valid JSON.
func depthOf(text []byte) int {
	if len(text) < maxResultDepth {
		return 0
	}
	depth, deepest, inString := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > deepest {
				deepest = depth
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}

// appendFloat follows encoding/json (ES6's number to string, except for the two-digit exponent).
func appendFloat(b []byte, f float64) ([]byte, error) {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return b, errors.New("it contains the number " + strconv.FormatFloat(f, 'g', -1, 64) + ", which JSON does not have")
	}
	magnitude := math.Abs(f)
	if magnitude == 0 || (magnitude >= 1e-6 && magnitude < 1e21) {
		return strconv.AppendFloat(b, f, 'f', -1, 64), nil
	}
	b = strconv.AppendFloat(b, f, 'e', -1, 64)
	if n := len(b); n >= 4 && b[n-4] == 'e' && b[n-3] == '-' && b[n-2] == '0' {
		b[n-2] = b[n-1]
		b = b[:n-1]
	}
	return b, nil
}

func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			b = append(b, s[start:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\n':
				b = append(b, '\\', 'n')
			case '\r':
				b = append(b, '\\', 'r')
			case '\t':
				b = append(b, '\\', 't')
			default:
				b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			}
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			b = append(append(b, s[start:i]...), `\ufffd`...)
			start = i + size
		}
		i += size
	}
	return append(append(b, s[start:]...), '"')
}
