package main

import (
	"sort"
	"strings"
)

// Several texts as one, in the format of golang.org/x/tools/txtar: a line `-- name --` before each. Locks are kept in
// it, and the executor sends what the builder shall not find in files.

func formatArchive(files map[string]string) string {
	var names []string
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	var b strings.Builder
	for _, name := range names {
		b.WriteString("-- " + name + " --\n" + files[name])
		if text := files[name]; text != "" && !strings.HasSuffix(text, "\n") {
			b.WriteString("\n")
		}
	}
	return b.String()
}

func parseArchive(text string) map[string]string {
	files := map[string]string{}
	name := ""
	for _, line := range strings.SplitAfter(text, "\n") {
		header := strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(header, "-- ") && strings.HasSuffix(header, " --") && len(header) > 6 {
			name = header[3 : len(header)-3]
			files[name] = ""
		} else if name != "" {
			files[name] += line
		}
	}
	return files
}
