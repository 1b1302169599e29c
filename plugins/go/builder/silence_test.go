package main

import (
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func nothing(string) string { return "" }

func TestACommandThatGetsNothingIsEnded(t *testing.T) {
	// Its child holds the same pipe: waiting for it alone would take an hour.
	cmd := exec.Command("/bin/sh", "-c", "echo '# get http://someone:secret@proxy.example:8080/a/@v/list' >&2; sleep 3600 & wait")
	silence := &watch{patience: time.Second, read: func() (uint64, bool) { return 7, true }}
	text, err := follow(cmd, nothing, silence)
	if err != nil || text != "proxy.example:8080 does not answer: nothing came for 1 s" {
		t.Fatal(text, err)
	}
	tree := treeOf(t, map[string]string{"go.mod": "module m\n"})
	if said := tree.reword(text); !tree.offline || !strings.Contains(said, "registry_timeout") {
		t.Fatal(said, tree.offline)
	}
}

func TestACommandThatGetsSomethingIsNot(t *testing.T) {
	var bytes uint64
	for _, read := range []func() (uint64, bool){
		func() (uint64, bool) { return atomic.AddUint64(&bytes, leastProgress), true },
		func() (uint64, bool) { return 0, false }, // a machine that does not tell
	} {
		silence := &watch{patience: time.Second, read: read}
		text, err := follow(exec.Command("/bin/sh", "-c", "sleep 2; echo '# get http://x/: 200 OK (2s)' >&2; echo why >&2; exit 1"), nothing, silence)
		if err != nil || text != "why\n\n(exit status 1)" {
			t.Fatalf("%q %v", text, err)
		}
	}
}

func TestWhoStaysSilent(t *testing.T) {
	for trace, want := range map[string]string{
		"": "",
		"# get http://a/x/@v/list\n# get http://a/x/@v/list: 200 OK (0.001s)\n":                                              "",
		"# get http://a/x/@v/list\n# get http://b:99/y\n# get http://a/x/@v/list: 404 Not Found (0.1s)\n# get http://b:99/z": "b:99",
		"# get https://user:secret@c.example/x":                                                                              "c.example",
	} {
		if got := silent(trace); got != want {
			t.Errorf("%q: %q", trace, got)
		}
	}
}
