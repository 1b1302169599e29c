package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"reflect"
	"strconv"
	"time"
)

// Call is one invocation, as the generated adapter sees it. Valid until the adapter returns.
type Call struct {
	function     *function
	id           uint64
	event        []byte
	context      []byte
	remainingMs  uint64
	deadlineMs   uint64
	beginByUs    uint64 // on CLOCK_MONOTONIC; 0: whenever its turn comes
	invocationID string
	requestID    string
	cancel       context.CancelFunc
	cancelled    bool   // CANCEL came before the adapter asked for a context
	reply        []byte // the answer's frame: header, room for the size, result
	failed       *document
	started      time.Time
}

// What the adapter hands over where the handler does not look.
var (
	NoEvent   interface{}
	NoStrings map[string]string
	NoValues  map[string]interface{}
)

// read fills the call from the payload of an INVOKE frame; false when the payload is malformed.
func (c *Call) read(payload []byte) bool {
	if len(payload) < 8 {
		return false
	}
	eventSize, contextSize := uint64(le.Uint32(payload)), uint64(le.Uint32(payload[4:]))
	payload = payload[8:]
	if eventSize+contextSize > uint64(len(payload)) {
		return false
	}
	c.event = payload[:eventSize]
	c.context = payload[eventSize : eventSize+contextSize]
	items := payload[eventSize+contextSize:]
	for len(items) > 0 {
		tag, value, rest, ok := nextItem(items)
		if !ok {
			return false
		}
		switch tag {
		case tagRemainingMs:
			c.remainingMs = number(value)
		case tagInvocationID:
			c.invocationID = string(value)
		case tagRequestID:
			c.requestID = string(value)
		case tagDeadlineMs:
			c.deadlineMs = number(value)
		case tagBeginBy:
			c.beginByUs = number(value)
		}
		items = rest
	}
	return true
}

// Any returns the event as the values that encoding/json makes of an interface{}. It and its like say false where the
// event is not what the handler takes: the call has failed, and the adapter returns.
func (c *Call) Any() (interface{}, bool) {
	if len(c.event) == 0 {
		return map[string]interface{}{}, true
	}
	value, err := decodeAny(string(c.event))
	if err != nil {
		return nil, c.refuse("the event cannot be read: "+err.Error(), "")
	}
	return value, true
}

// Object returns an event that is an object; null gives a nil map.
func (c *Call) Object() (map[string]interface{}, bool) {
	value, ok := c.Any()
	if !ok || value == nil {
		return nil, ok
	}
	if object, ok := value.(map[string]interface{}); ok {
		return object, true
	}
	return nil, c.refuse("the event is not a JSON object, but the handler takes a map",
		"Send an object, or have the handler take interface{}.")
}

// Decode reads the event into target, a pointer to the type that the handler takes.
func (c *Call) Decode(target interface{}) bool {
	event := c.event
	if len(event) == 0 {
		event = []byte("{}")
	}
	err := json.Unmarshal(event, target)
	if err == nil {
		return true
	}
	c.failed = ofEvent(event, reflect.TypeOf(target).Elem(), err)
	return false
}

func (c *Call) refuse(message, hint string) bool {
	c.failed = &document{Type: "EventNotDecodable", Message: message, Hint: hint}
	return false
}

// Return takes what the handler returned. Its like take what handlers of other forms return.
func (c *Call) Return(result interface{}, err error) {
	if err != nil {
		c.failed = ofError(err)
	} else if c.reply, err = appendJSON(c.reply, result, 0); err != nil {
		c.failed = ofResult(err, result)
	}
}

func (c *Call) ReturnValue(result interface{}) { c.Return(result, nil) }

func (c *Call) ReturnError(err error) { c.Return(nil, err) }

func (c *Call) ReturnNothing() { c.Return(nil, nil) }

// Strings returns the context with every value as text: numbers and booleans as they were written, objects and
// arrays as JSON, null as "".
func (c *Call) Strings() map[string]string {
	values := make(map[string]string, 8)
	c.each(func(key string, d *decoder) error {
		start := d.at
		value, err := d.value()
		switch v := value.(type) {
		case string:
			values[key] = v
		case nil:
			values[key] = ""
		default:
			values[key] = compact(d.text[start:d.at])
		}
		return err
	})
	f := c.function
	values["invocation_id"] = c.invocationID
	values["function_name"] = f.name
	values["function_version"] = f.versionText
	values["memory_limit_mb"] = f.memoryText
	values["deadline_ms"] = strconv.FormatUint(c.deadlineMs, 10)
	if _, given := values["request_id"]; !given {
		values["request_id"] = c.requestID
	}
	return values
}

// Values returns the context with JSON's own types.
func (c *Call) Values() map[string]interface{} {
	values := make(map[string]interface{}, 8)
	c.each(func(key string, d *decoder) error {
		value, err := d.value()
		values[key] = value
		return err
	})
	f := c.function
	values["invocation_id"] = c.invocationID
	values["function_name"] = f.name
	values["function_version"] = float64(f.version)
	values["memory_limit_mb"] = float64(f.memoryMb)
	values["deadline_ms"] = float64(c.deadlineMs)
	if _, given := values["request_id"]; !given {
		values["request_id"] = c.requestID
	}
	return values
}

// each walks over the context that the caller sent. The host accepts nothing but an object there, so a context of
// another kind counts as empty.
func (c *Call) each(member func(key string, d *decoder) error) {
	d := decoder{text: string(c.context)}
	if d.space(); d.at >= len(d.text) || d.text[d.at] != '{' {
		return
	}
	_ = d.members(func(key string) error {
		d.space()
		return member(key, &d)
	})
}

func compact(text string) string {
	if text[0] != '{' && text[0] != '[' {
		return text
	}
	var out bytes.Buffer
	if json.Compact(&out, []byte(text)) != nil {
		return text
	}
	return out.String()
}

// timeToAnswer is what a handler has left for its answer when its context ends.
func timeToAnswer(remaining time.Duration) time.Duration {
	margin := remaining / 20
	if margin < 50*time.Millisecond {
		margin = 50 * time.Millisecond
	}
	if margin > 500*time.Millisecond {
		margin = 500 * time.Millisecond
	}
	if margin > remaining/4 {
		margin = remaining / 4
	}
	return margin
}

// Context returns a context.Context that ends a little before the invocation's deadline, so that a handler that waits for
// its end can still answer, or when the caller gives up. Its values are those of Values, by their names.
func (c *Call) Context() context.Context {
	remaining := time.Duration(c.remainingMs) * time.Millisecond
	deadline := time.Now().Add(remaining - timeToAnswer(remaining))
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	if c.remainingMs == 0 {
		cancel()
		ctx, cancel = context.WithCancel(context.Background())
	}
	c.function.attachCancel(c, cancel)
	return &valueContext{Context: ctx, values: c.Values()}
}

type valueContext struct {
	context.Context
	values map[string]interface{}
}

func (v *valueContext) Value(key interface{}) interface{} {
	if name, ok := key.(string); ok {
		if value, known := v.values[name]; known {
			return value
		}
	}
	return v.Context.Value(key)
}
