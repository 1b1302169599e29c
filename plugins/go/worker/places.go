package worker

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Where in an event or a result the part is that encoding/json refused: it says no place itself, or one without indexes.
// Only failed calls come here.

var (
	timeType        = reflect.TypeOf(time.Time{})
	unmarshalerType = reflect.TypeOf((*json.Unmarshaler)(nil)).Elem()
	textReaderType  = reflect.TypeOf((*encoding.TextUnmarshaler)(nil)).Elem()
	marshalerType   = reflect.TypeOf((*json.Marshaler)(nil)).Elem()
	textWriterType  = reflect.TypeOf((*encoding.TextMarshaler)(nil)).Elem()
)

// misfit is a part of an event that its Go type does not take.
type misfit struct {
	place string
	kind  reflect.Type
	err   error
}

// findMisfit looks for the first part of text that kind does not take, which lies at `place`; false: it takes all of it.
func findMisfit(text []byte, kind reflect.Type, place string) (misfit, bool) {
	err := json.Unmarshal(text, reflect.New(kind).Interface())
	if err == nil {
		return misfit{}, false
	}
	for kind.Kind() == reflect.Ptr {
		kind = kind.Elem()
	}
	found := misfit{place: place, kind: kind, err: err}
	if pointer := reflect.PtrTo(kind); pointer.Implements(unmarshalerType) || pointer.Implements(textReaderType) {
		return found, true
	}
	inner, ok := misfit{}, false
	switch kind.Kind() {
	case reflect.Struct, reflect.Map:
		walk(text, '{', func(key string, part []byte) bool {
			partKind := reflect.Type(nil)
			if kind.Kind() == reflect.Struct {
				partKind = memberType(kind, key)
			} else {
				partKind = kind.Elem()
			}
			if partKind != nil {
				inner, ok = findMisfit(part, partKind, place+"."+key)
			}
			return !ok
		})
	case reflect.Slice, reflect.Array:
		at := 0
		walk(text, '[', func(_ string, part []byte) bool {
			inner, ok = findMisfit(part, kind.Elem(), place+"["+strconv.Itoa(at)+"]")
			at++
			return !ok
		})
	}
	if ok {
		return inner, true
	}
	return found, true
}

// walk gives the parts of an object or array, in their order, until one is not wanted any more.
func walk(text []byte, opening json.Delim, each func(key string, part []byte) bool) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if first, err := decoder.Token(); err != nil || first != opening {
		return
	}
	for decoder.More() {
		key := ""
		if opening == '{' {
			token, err := decoder.Token()
			if err != nil {
				return
			}
			key, _ = token.(string)
		}
		var part json.RawMessage
		if decoder.Decode(&part) != nil || !each(key, part) {
			return
		}
	}
}

// memberName is what encoding/json calls a field; empty: it leaves it out.
func memberName(field reflect.StructField) string {
	if field.PkgPath != "" && !field.Anonymous {
		return ""
	}
	tag := field.Tag.Get("json")
	if tag == "-" {
		return ""
	}
	if name := strings.Split(tag, ",")[0]; name != "" {
		return name
	}
	return field.Name
}

// isEmbedded tells the fields whose own fields count as those of the struct around them.
func isEmbedded(field reflect.StructField) bool {
	kind := field.Type
	if kind.Kind() == reflect.Ptr {
		kind = kind.Elem()
	}
	return field.Anonymous && kind.Kind() == reflect.Struct && strings.Split(field.Tag.Get("json"), ",")[0] == ""
}

// memberType is the type of the field that takes a member of that name: of the very name, or else in any case of letters.
func memberType(kind reflect.Type, key string) (found reflect.Type) {
	for i := 0; i < kind.NumField(); i++ {
		field := kind.Field(i)
		if isEmbedded(field) {
			inner := field.Type
			if inner.Kind() == reflect.Ptr {
				inner = inner.Elem()
			}
			if inner != kind && found == nil {
				found = memberType(inner, key)
			}
			continue
		}
		switch name := memberName(field); {
		case name == key:
			return field.Type
		case found == nil && name != "" && strings.EqualFold(name, key):
			found = field.Type
		}
	}
	return found
}

// ownName is a type as the function's source has it.
func ownName(kind reflect.Type) string {
	return strings.TrimPrefix(strings.NewReplacer("]main.", "]", "*main.", "*").Replace(kind.String()), "main.")
}

// ofEvent describes an event that the handler's type does not take.
func ofEvent(text []byte, kind reflect.Type, err error) *document {
	failed := &document{Type: "EventNotDecodable", Message: "the event cannot be read: " + strings.TrimPrefix(err.Error(), "json: ")}
	found, ok := findMisfit(text, kind, "event")
	if !ok {
		return failed
	}
	place, goType := found.place, ownName(found.kind)
	failed.Hint = "Send " + place + " as JSON that fits " + goType + ", or change the type that the handler takes."
	var mismatch *json.UnmarshalTypeError
	if errors.As(found.err, &mismatch) {
		failed.Message = place + " is a JSON " + mismatch.Value + ", which does not fit the Go type " + goType
		return failed
	}
	failed.Message = place + " does not fit the Go type " + goType + ": " + messageOf(found.err)
	if found.kind == timeType {
		failed.Hint = "Send " + place + ` as text like "2006-01-02T15:04:05Z" (RFC 3339), or have the handler take a string and time.Parse it.`
	}
	return failed
}

// placeOfRefused says where in a result the first value is that JSON has no form for; empty where it is not found.
func placeOfRefused(result interface{}) string {
	s := search{left: 1000000} // what refers to itself has no end
	place, _ := s.refused(reflect.ValueOf(result), "result", 0)
	return place
}

func isFloat(kind reflect.Kind) bool { return kind == reflect.Float32 || kind == reflect.Float64 }

type search struct{ left int }

func (s *search) refused(value reflect.Value, place string, depth int) (string, bool) {
	if s.left--; s.left < 0 || depth > maxResultDepth || !value.IsValid() {
		return "", false
	}
	switch value.Kind() {
	case reflect.Interface, reflect.Ptr:
		if value.IsNil() {
			return "", false
		}
	}
	if value.Type().Implements(marshalerType) || value.Type().Implements(textWriterType) {
		return "", false
	}
	switch value.Kind() {
	case reflect.Interface, reflect.Ptr:
		return s.refused(value.Elem(), place, depth+1)
	case reflect.Float32, reflect.Float64:
		return place, math.IsNaN(value.Float()) || math.IsInf(value.Float(), 0)
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		return place, true
	case reflect.Slice, reflect.Array:
		for i := 0; i < value.Len(); i++ {
			if found, ok := s.refused(value.Index(i), place+"["+strconv.Itoa(i)+"]", depth+1); ok {
				return found, true
			}
		}
	case reflect.Map:
		if value.Type().Key().Kind() != reflect.String {
			return "", false
		}
		keys := value.MapKeys()
		sort.Slice(keys, func(i, j int) bool { return keys[i].String() < keys[j].String() })
		for _, key := range keys {
			if found, ok := s.refused(value.MapIndex(key), place+"."+key.String(), depth+1); ok {
				return found, true
			}
		}
	case reflect.Struct:
		for i := 0; i < value.NumField(); i++ {
			field := value.Type().Field(i)
			inner := place + "." + memberName(field)
			if isEmbedded(field) {
				inner = place
			} else if memberName(field) == "" {
				continue
			}
			if found, ok := s.refused(value.Field(i), inner, depth+1); ok {
				return found, true
			}
		}
	}
	return "", false
}
