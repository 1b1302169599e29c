package worker

import (
	"bytes"
	"encoding/json"
	"math/rand"
	"reflect"
	"strings"
	"testing"
)

// randomValue makes a value as encoding/json would decode it.
func randomValue(r *rand.Rand, depth int) interface{} {
	kinds := 7
	if depth == 0 {
		kinds = 5
	}
	switch r.Intn(kinds) {
	case 0:
		return nil
	case 1:
		return r.Intn(2) == 0
	case 2:
		return r.NormFloat64() * []float64{1, 1e-9, 1e30, 1e300}[r.Intn(4)]
	case 3:
		return float64(r.Intn(100000) - 50000)
	case 4:
		return randomText(r)
	case 5:
		array := []interface{}{}
		for i := r.Intn(4); i > 0; i-- {
			array = append(array, randomValue(r, depth-1))
		}
		return array
	}
	object := map[string]interface{}{}
	for i := r.Intn(20); i > 0; i-- {
		object[randomText(r)] = randomValue(r, depth-1)
	}
	return object
}

func randomText(r *rand.Rand) string {
	alphabet := []string{"a", "Z", "0", "\"", "\\", "/", "\n", "\t", "\r", "\b", "\x00", "\x1f", "\x7f", "é", "\u2028", "😀", "<", "&", "\ufffd"}
	var b strings.Builder
	for i := r.Intn(8); i > 0; i-- {
		b.WriteString(alphabet[r.Intn(len(alphabet))])
	}
	return b.String()
}

func TestDecodesAndEncodesLikeEncodingJSON(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	for i := 0; i < 3000; i++ {
		value := randomValue(r, 3)
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			var indented bytes.Buffer
			_ = json.Indent(&indented, text, " \r", "\t")
			text = indented.Bytes()
		}
		decoded, err := decodeAny(string(text))
		if err != nil || !reflect.DeepEqual(decoded, value) {
			t.Fatalf("%s\ndecoded as %#v (%v)\n   wanted %#v", text, decoded, err, value)
		}
		var want bytes.Buffer
		encoder := json.NewEncoder(&want)
		encoder.SetEscapeHTML(false)
		_ = encoder.Encode(value)
		encoded, err := appendJSON([]byte("before"), value, 0)
		got := strings.TrimPrefix(string(encoded), "before")
		// These escapes are allowed, not needed: encoding/json writes them for the sake of web pages and readers.
		wanted := strings.NewReplacer(`\u2028`, "\u2028", `\b`, `\u0008`).Replace(strings.TrimSuffix(want.String(), "\n"))
		if err != nil || (got != wanted && !strings.Contains(wanted, `\\`)) || !sameJSON(got, wanted) {
			t.Fatalf("encoded as %s (%v)\nwanted     %s", got, err, wanted)
		}
	}
}

func sameJSON(a, b string) bool {
	var x, y interface{}
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

func TestRefusesWhatIsNotJSON(t *testing.T) {
	for _, text := range []string{"", " ", "{", "[", "[1", "[1,", "[,]", "[1,]", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,}",
		"{a:1}", "{1:1}", "\"", "\"\\", "\"\\u12\"", "\"\\u12g4\"", "\"\\x\"", "\"\n\"", "tru", "nul", "falsy", "1 2", "--1",
		"1e", "x", "{} {}", "]", ":", strings.Repeat("[", 20000)} {
		if value, err := decodeAny(text); err == nil {
			t.Errorf("%.40q was read as %#v", text, value)
		}
	}
}

func TestStringsOfASmallEventDoNotChangeWithTheBuffer(t *testing.T) {
	payload := []byte(`{"key":"value"}`)
	call := &Call{event: payload}
	value, ok := call.Any()
	if !ok {
		t.Fatal(call.failed.Message)
	}
	for i := range payload {
		payload[i] = 'x'
	}
	if !reflect.DeepEqual(value, map[string]interface{}{"key": "value"}) {
		t.Fatalf("the event became %#v", value)
	}
}

type list struct {
	Next *list `json:",omitempty"`
}

func TestRefusesResultsThatAreTooDeep(t *testing.T) {
	for _, c := range []struct {
		levels int
		fits   bool
	}{{maxResultDepth, true}, {maxResultDepth + 1, false}} {
		var array interface{}
		linked := &list{}
		for i := 0; i < c.levels; i++ {
			array = []interface{}{array, "[[]]\\\"["}
			if i > 0 {
				linked = &list{linked}
			}
		}
		for _, value := range []interface{}{array, linked} {
			if _, err := appendJSON(nil, value, 0); (err == nil) != c.fits {
				t.Errorf("%d levels of %T: %v", c.levels, value, err)
			}
		}
		if _, err := appendJSON(nil, []interface{}{linked}, 0); err == nil {
			t.Errorf("%d levels of structs inside an array were let through", c.levels)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	text := `{"message":"Hello World","data":[1,2,3],"user":{"id":12345,"name":"Ada Lovelace","tags":["a","b"]}}`
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		_, _ = decodeAny(text)
	}
}
