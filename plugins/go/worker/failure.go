package worker

import (
	"encoding/json"
	"fmt"
	"reflect"
	"runtime"
	"strings"
)

// The error document of the worker protocol.
type document struct {
	Type    string   `json:"type"`
	Message string   `json:"message"`
	Stack   []string `json:"stack"`
	File    string   `json:"file,omitempty"`
	Line    int      `json:"line,omitempty"`
	Hint    string   `json:"hint,omitempty"`
}

// The generated function that calls the handler. Where the compiler puts the handler into it, the handler's own
// function literals are named after both.
const adapter = "cloudfunction__invoke"

const (
	maxMessage = 16 << 10
	maxFrames  = 64
)

func (d *document) json() []byte {
	if len(d.Message) > maxMessage {
		d.Message = strings.ToValidUTF8(d.Message[:maxMessage], "") + " ..."
	}
	if d.Stack == nil {
		d.Stack = []string{}
	}
	text, err := json.Marshal(d)
	if err != nil || len(text) > maxDocument {
		d.Stack = []string{}
		text, _ = json.Marshal(d)
	}
	return text
}

// ofError describes an error that the handler returned.
func ofError(err error) *document {
	return &document{Type: typeName(err, "error"), Message: messageOf(err)}
}

func ofResult(err error, result interface{}) *document {
	message := strings.TrimPrefix(err.Error(), "json: ")
	if unsupported, ok := err.(*json.UnsupportedTypeError); ok {
		message = "it contains a value of the Go type " + unsupported.Type.String() + ", which JSON does not have"
	}
	if unsupported, ok := err.(*json.UnsupportedValueError); ok && isFloat(unsupported.Value.Kind()) {
		message = "it contains the number " + unsupported.Str + ", which JSON does not have"
	}
	if place := placeOfRefused(result); place != "" && err != errTooDeep {
		message += " (" + place + ")"
	}
	return &document{
		Type:    "ResultNotJson",
		Message: "the handler's result is not JSON: " + message,
		Hint:    "Return maps with string keys, slices, structs, strings, finite numbers, booleans or nil.",
	}
}

// ofPanic describes what the handler panicked with; the stack has the innermost frame first, as Go prints it. Called by the deferred function that recovered, so that the
// frames of the panic are still on the stack.
func (f *function) ofPanic(value interface{}) *document {
	d := &document{Type: "panic"}
	switch v := value.(type) {
	case nil:
		d.Message = "panic with the value nil"
	case runtime.Error:
		d.Message = messageOf(v)
	case error:
		d.Type, d.Message = typeName(v, "panic"), messageOf(v)
	case string:
		d.Message = v
	default:
		d.Message = textOf(v)
	}
	var counters [256]uintptr
	walker := runtime.CallersFrames(counters[:runtime.Callers(2, counters[:])])
	for {
		frame, more := walker.Next()
		if f.isUsers(frame.Function) && len(d.Stack) < maxFrames {
			file := f.fileName(frame.File)
			if d.File == "" {
				d.File, d.Line = file, frame.Line
			}
			name := strings.Replace(frame.Function, adapter+".", "", 1)
			d.Stack = append(d.Stack, fmt.Sprintf("%s (%s:%d)", name, file, frame.Line))
		}
		if !more {
			break
		}
	}
	return d
}

// isUsers tells the user's own functions from the standard library, this package and the generated adapter.
func (f *function) isUsers(name string) bool {
	if strings.HasPrefix(name, "main.") {
		return name != "main.main" && name != "main."+adapter && name != "main.cloudfunction__event"
	}
	return strings.HasPrefix(name, f.Module+"/")
}

// fileName turns the path the compiler recorded, which begins with the module's, into the name the user gave.
func (f *function) fileName(path string) string {
	if i := strings.Index(path, f.Module+"/"); i >= 0 {
		return path[i+len(f.Module)+1:]
	}
	return path
}

// typeName names the Go type of an error as the user knows it. The types behind errors.New and fmt.Errorf say
// nothing, so `plain` stands for them.
func typeName(err error, plain string) string {
	name := strings.TrimPrefix(strings.TrimLeft(reflect.TypeOf(err).String(), "*"), "main.")
	switch name {
	case "errors.errorString", "errors.joinError", "fmt.wrapError", "fmt.wrapErrors":
		return plain
	}
	return name
}

// messageOf calls code of the user's, which may panic.
func messageOf(err error) (message string) {
	defer func() {
		if recover() != nil {
			message = "an error of type " + reflect.TypeOf(err).String() + " whose Error method panicked"
		}
	}()
	return err.Error()
}

func textOf(value interface{}) (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("a value of type %T", value)
		}
	}()
	return fmt.Sprint(value)
}
