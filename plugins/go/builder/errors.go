package main

import (
	"regexp"
	"strings"
)

// What the go command says about modules, in words that tell a function's author what to do. Its own words change a
// little with every release, so each pattern takes the part that has stayed the same since 1.16.
type moduleProblem struct {
	pattern *regexp.Regexp
	// Gives the message; `said` is the go command's own sentence.
	explain func(said, module, version string) string
	// Nobody answered: rather an old lock than none.
	offline bool
}

func sentence(format string) func(string, string, string) string {
	return func(said, module, version string) string {
		name := module
		if name == "" {
			name = "a module"
		}
		if version != "" {
			name += "@" + version
		}
		text := strings.ReplaceAll(format, "{module}", name)
		return strings.ReplaceAll(text, "{said}", said)
	}
}

var moduleProblems = []moduleProblem{
	{regexp.MustCompile(`checksum mismatch`), sentence("the content of {module} is not what its sum says, so it was changed after the sum was taken, or on its way: {said}. Find out which; only then take its lines out of go.sum"), false},
	{regexp.MustCompile(`(?i)requires go >= ?\S+|module requires Go|invalid go version`), sentence("{module} needs a newer Go than this platform has: {said}. Ask for an older version of it, or have a newer Go installed"), false},
	{regexp.MustCompile(`dial tcp|no such host|network is unreachable|connection refused|connection reset|i/o timeout|TLS handshake timeout|server misbehaving|context deadline exceeded|proxyconnect|Temporary failure in name resolution|Could not resolve host`),
		sentence("{module} could not be fetched: {said}. Builds reach what the property build.network allows, and ask the proxies of GOPROXY; a vendor/ folder needs neither"), true},
	{regexp.MustCompile(`x509: |certificate`), sentence("{module} could not be fetched, because the server's certificate is not trusted: {said}. SSL_CERT_FILE names the operator's certificates"), false},
	{regexp.MustCompile(`40[13] (Unauthorized|Forbidden)|40[13] |could not read Username|Authentication failed|Permission denied`),
		sentence("{module} could not be fetched without a password: {said}. The operator's ~/.netrc and GOPRIVATE give access to private modules"), false},
	{regexp.MustCompile(`executable file not found`), sentence("{module} is at no proxy, and fetching it directly needs a program that this machine does not have: {said}"), false},
	{regexp.MustCompile(`unknown revision|no matching versions|invalid version|invalid pseudo-version|should be v\d|does not contain a module`), sentence("there is no such version of {module}: {said}"), false},
	{regexp.MustCompile(`declares its path as`), sentence("{module} has another name than the one it is required by: {said}"), false},
	{regexp.MustCompile(`does not contain package|no required module provides package|cannot find module providing package|is not in (GOROOT|std)`), sentence("{said}. Is the import path right? Versions from 2 on have it in the path, as in example.com/module/v2"), false},
	{regexp.MustCompile(`404 Not Found|410 Gone|[Rr]epository not found|not found`), sentence("the module {module} is not found: {said}"), false},
	{regexp.MustCompile(`inconsistent vendoring`), sentence("vendor/modules.txt does not fit go.mod: run `go mod vendor` and send what it wrote. {said}"), false},
	{regexp.MustCompile(`ambiguous import`), sentence("{said}"), false},
	{regexp.MustCompile(`build constraints exclude all Go files`), sentence("{said}: it needs C code (cgo) or another system, and functions are static programs for this one"), false},
	{regexp.MustCompile(`import cycle not allowed`), sentence("packages import each other in a circle: {said}"), false},
	{regexp.MustCompile(`use of internal package`), sentence("{said}"), false},
	{regexp.MustCompile(`\b50[0-9] |server response`), sentence("{module} could not be fetched: {said}"), false},
}

var (
	moduleAt  = regexp.MustCompile(`([A-Za-z0-9][A-Za-z0-9.~_-]*\.[A-Za-z0-9.~_-]+(?:/[A-Za-z0-9.~_+!-]+)*)@([^\s:,()/]+)`)
	addressOf = regexp.MustCompile(`https?://\S+`)
	packageAt = regexp.MustCompile(`(?:package|packages in) ([^\s:;,]+)`)
)

// explainModules makes remarks of what a failing go command says when no line of it names a place.
func (t *tree) explainModules(text string) []remark {
	said := condense(text)
	if said == "" {
		return nil
	}
	module, version := t.moduleOf(said)
	place := t.placeOf(module, said)
	for _, problem := range moduleProblems {
		if problem.pattern.MatchString(said) {
			place.message = problem.explain(said, module, version)
			t.offline = t.offline || problem.offline
			return []remark{place}
		}
	}
	return nil
}

// moduleOf finds the module that a text is about; the last one named, because the go command begins with who asks for it.
func (t *tree) moduleOf(said string) (path, version string) {
	for _, match := range moduleAt.FindAllStringSubmatch(addressOf.ReplaceAllString(said, ""), -1) {
		path, version = match[1], match[2]
	}
	if path != "" {
		return path, version
	}
	for _, r := range append(append([]requirement(nil), t.wanted...), t.manifest.requires...) {
		if strings.Contains(said, r.path) && len(r.path) > len(path) {
			path = r.path
		}
	}
	return path, ""
}

// placeOf is where the user asked for a module: its line of go.mod. Who has "dependencies" never wrote one.
func (t *tree) placeOf(module, said string) remark {
	if t.manifest.made || t.goMod == nil {
		return remark{}
	}
	for _, r := range t.manifest.requires {
		if r.path == module {
			return remark{file: "go.mod", line: r.line, column: 1}
		}
	}
	for _, r := range t.manifest.requires {
		if strings.Contains(said, r.path) {
			return remark{file: "go.mod", line: r.line, column: 1}
		}
	}
	return remark{file: "go.mod"}
}

const longestSentence = 2000

// condense makes one sentence of the lines that say what went wrong.
func condense(text string) string {
	var kept []string
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "go: "))
		switch {
		case line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "(exit status"):
		case strings.HasPrefix(line, "downloading ") || strings.HasPrefix(line, "finding module ") || strings.HasPrefix(line, "added "):
		case strings.HasPrefix(line, "SECURITY ERROR"):
			return strings.Join(kept, " ")
		case strings.HasPrefix(line, "For more information") || strings.HasPrefix(line, "To ignore the vendor") || strings.HasPrefix(line, "To sync the vendor"):
		default:
			kept = append(kept, line)
		}
	}
	said := strings.Join(kept, " ")
	if len(said) > longestSentence {
		said = said[:longestSentence] + " ..."
	}
	return strings.TrimSuffix(said, ".")
}

// needsResolving tells the failures that new sums, or other lines in go.mod, would end.
func needsResolving(text string) bool {
	for _, part := range []string{"missing go.sum entry", "updates to go.mod needed", "updates to go.sum needed", "is replaced but not required",
		"needs to be updated", "is explicitly required in go.mod, but not", "disabled by -mod=readonly", "no required module provides package"} {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}
