package main

import (
	"fmt"
	"io"
	"sort"
	"strings"
)

// remark is about a place in the user's own source; lines and columns (in characters) count from 1, 0 is unknown.
type remark struct {
	warning      bool
	file         string
	line, column int
	message      string
}

func hasErrors(remarks []remark) bool {
	for _, r := range remarks {
		if !r.warning {
			return true
		}
	}
	return false
}

var escape = strings.NewReplacer("\\", "\\\\", "\t", "\\t", "\n", "\\n", "\r", "")

// report writes the remarks in the order of the source, each once.
func report(w io.Writer, remarks []remark) {
	sort.SliceStable(remarks, func(i, j int) bool {
		a, b := remarks[i], remarks[j]
		if a.file != b.file {
			return a.file < b.file
		}
		if a.line != b.line {
			return a.line < b.line
		}
		return a.column < b.column
	})
	for i, r := range remarks {
		if i > 0 && r == remarks[i-1] {
			continue
		}
		severity := "error"
		if r.warning {
			severity = "warning"
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\n", severity, escape.Replace(r.file), r.line, r.column,
			escape.Replace(r.message))
	}
}
