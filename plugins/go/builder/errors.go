package main

import (
	"fmt"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// What the go command says about modules, in words that tell a function's author what to do. Its own words change a
// little with every release, so each pattern takes parts that have stayed the same since 1.16. The first that matches
// counts. In `words`, {module} is the module with its version and {said} the go command's own sentence.
type moduleProblem struct {
	pattern *regexp.Regexp
	words   string
	offline bool // nobody answered: rather an old lock than none
}

var moduleProblems = []moduleProblem{
	{regexp.MustCompile(`checksum mismatch`), "the content of {module} is not what its sum says: it was changed after the sum was taken, or on its way. {said}. " +
		"Find out which before you take its lines out of go.sum", false},
	{regexp.MustCompile(`(no|missing) module declaration`), "go.mod does not say which module it is of: let it begin with `module function`", false},
	{regexp.MustCompile(`\(replaced by [./]\S*\): |replacement directory \S+ does not exist`), "go.mod replaces {module} by a folder that is not among the function's files: {said}. " +
		"Send it as a folder of the function, and replace the module by ./ and its name", false},
	{regexp.MustCompile(`go\.mod requires go >=|^invalid go version`), "the function's own go.mod asks for a newer Go than this platform has: {said}. Lower its `go` line, or have a newer Go installed", false},
	{regexp.MustCompile(`requires go >= ?\S+|module requires Go|invalid go version`), "{module} needs a newer Go than this platform has: {said}. Ask for an older version of it, or have a newer Go installed", false},
	{regexp.MustCompile(`x509: |certificate (is|has|signed)`), "{module} could not be fetched, because the server's certificate is not trusted: {said}. SSL_CERT_FILE of the operator names further ones", false},
	{regexp.MustCompile(`verifying .*(dial tcp|no such host|timeout|refused| 50\d )`), "{module} could not be verified, because the checksum database does not answer: {said}. " +
		"It has to be within what the property build.network allows; GONOSUMDB or GOPRIVATE of the operator name modules that it does not know", true},
	{regexp.MustCompile(`verifying .*(404|410|not found)`), "{module} could not be verified, because the checksum database does not know it: {said}. GONOSUMDB or GOPRIVATE of the operator name such modules", false},
	{regexp.MustCompile(`does not answer: nothing came for`), "modules could not be fetched: {said}. Builds reach what the property build.network allows, and ask the proxies of GOPROXY; " +
		"how long they wait for an answer is executor.go.registry_timeout. A vendor/ folder needs neither", true},
	{regexp.MustCompile(`dial tcp|no such host|network is unreachable|connection refused|connection reset|i/o timeout|TLS handshake timeout|server misbehaving|deadline exceeded|proxyconnect|Temporary failure in name resolution|[Cc]ould not resolve host`),
		"{module} could not be fetched: {said}. Builds reach what the property build.network allows, and ask the proxies of GOPROXY; a vendor/ folder needs neither", true},
	{regexp.MustCompile(`disabled by GOPROXY=off`), "{module} could not be fetched, because GOPROXY of this platform is off: send a vendor/ folder, or have the operator set it", true},
	{regexp.MustCompile(`executable file not found`), "{module} is at no proxy, and fetching it directly needs a program that this machine does not have: {said}", false},
	{regexp.MustCompile(`could not read Username|[Rr]epository not found|Permission denied \(publickey|Host key verification`), "the module {module} is not found, or it is private: {said}. GOPRIVATE and ~/.netrc of the operator give access to private modules", false},
	{regexp.MustCompile(`\b401 |Authentication failed`), "{module} could not be fetched without a password: {said}. GOPRIVATE and ~/.netrc of the operator give access to private modules", false},
	{regexp.MustCompile(`\b403 `), "{module} was refused: {said}. Either there is no such module or version, or it is private: GOPRIVATE and ~/.netrc of the operator give access to private modules", false},
	{regexp.MustCompile(`requires \S+, not \S+|but \S+ is requested|conflict`), "the versions that are asked for exclude each other: {said}. Ask for the later one", false},
	{regexp.MustCompile(`declares its path as`), "{module} has another name than the one it is required by: {said}", false},
	{regexp.MustCompile(`unknown revision|no matching versions|no matching version|invalid pseudo-version|should be v\d|does not contain a module`), "there is no such version of {module}: {said}", false},
	{regexp.MustCompile(`does not contain package|no required module provides package|cannot find module providing package|is not in (GOROOT|std)`), "{said}. Is the import path right? Versions from 2 on have it in the path, as in example.com/module/v2", false},
	{regexp.MustCompile(`400 Bad Request|404 Not Found|410 Gone|not found`), "the module {module} is not found: {said}", false},
	{regexp.MustCompile(`\b(50\d|429) `), "{module} could not be fetched: {said}", true},
	{regexp.MustCompile(`malformed (module|import) path|invalid version`), "{said}", false},
	{regexp.MustCompile(`inconsistent vendoring`), "vendor/modules.txt does not fit go.mod: run `go mod vendor` and send what it wrote. {said}", false},
	{regexp.MustCompile(`build constraints exclude all Go files`), "{said}: it needs C code (cgo) or another system, and functions are static programs for this one", false},
	{regexp.MustCompile(`import cycle not allowed`), "packages import each other in a circle: {said}", false},
	{regexp.MustCompile(`use of internal package|ambiguous import|unknown directive|unknown block type|errors parsing`), "{said}", false},
}

var (
	moduleAt  = regexp.MustCompile(`([A-Za-z0-9][A-Za-z0-9.~_-]*\.[A-Za-z0-9.~_-]+(?:/[A-Za-z0-9.~_+!-]+)*)@([^\s:,()/]+)`)
	addressOf = regexp.MustCompile(`https?://\S+`)
)

// explainModules makes a remark of what a failing go command says when no line of it names a place.
func (t *tree) explainModules(text string) []remark {
	said := condense(text)
	module, _ := t.moduleOf(said)
	place := t.placeOf(module, said)
	if closing, found := t.closesCircle(said); found {
		place = closing
	}
	if place.message = t.reword(said); place.message == said {
		return nil
	}
	return []remark{place}
}

var (
	circle      = regexp.MustCompile(`: import cycle not allowed`)
	circleParts = regexp.MustCompile(`(?:^|\s)(?:package|imports) ([^\s:]+)`)
)

// closesCircle finds the import that closes a circle of packages: of the one named last, in the one named before it.
func (t *tree) closesCircle(said string) (remark, bool) {
	end := circle.FindStringIndex(said)
	if end == nil {
		return remark{}, false
	}
	parts := circleParts.FindAllStringSubmatch(said[:end[0]], -1)
	if len(parts) < 2 {
		return remark{}, false
	}
	importer, imported := parts[len(parts)-2][1], parts[len(parts)-1][1]
	if importer != t.module && !strings.HasPrefix(importer, t.module+"/") {
		return remark{}, false
	}
	folder := strings.TrimPrefix(strings.TrimPrefix(importer, t.module), "/")
	names, _ := filepath.Glob(filepath.Join(t.dir, filepath.FromSlash(folder), "*.go"))
	for _, path := range names {
		files := token.NewFileSet()
		parsed, err := parser.ParseFile(files, path, nil, parser.ImportsOnly)
		if err != nil || strings.HasSuffix(path, "_test.go") {
			continue
		}
		for _, spec := range parsed.Imports {
			if spec.Path.Value == strconv.Quote(imported) {
				at := files.PositionFor(spec.Path.Pos(), false)
				name := strings.TrimPrefix(path, t.dir+"/")
				return remark{file: name, line: at.Line, column: t.columnIn(name, at.Line, at.Column)}, true
			}
		}
	}
	return remark{}, false
}

// reword explains a sentence of the go command; one that is not known stays as it is.
func (t *tree) reword(said string) string {
	for _, problem := range moduleProblems {
		if !problem.pattern.MatchString(said) {
			continue
		}
		t.offline = t.offline || problem.offline
		name, version := t.moduleOf(said)
		if name == "" {
			name = "a module"
		}
		if version != "" {
			name += "@" + version
		}
		text := strings.NewReplacer("{module}", name, "{said}", said).Replace(problem.words)
		if text == said {
			text += "."
		}
		return text
	}
	return said
}

// moduleOf finds the module that a text is about; the last one named, because the go command begins with who asks for it.
func (t *tree) moduleOf(said string) (path, version string) {
	for _, match := range moduleAt.FindAllStringSubmatch(addressOf.ReplaceAllString(said, ""), -1) {
		path, version = match[1], match[2]
	}
	if path != "" {
		return path, version
	}
	for _, r := range t.manifest.requires {
		if strings.Contains(said, r.path) && len(r.path) > len(path) {
			path, version = r.path, r.version
		}
	}
	return path, version
}

// placeOf is where the user asked for a module: its line of go.mod. Who sends "dependencies" never wrote one.
func (t *tree) placeOf(module, said string) remark {
	if t.manifest.made || t.goMod == nil {
		return remark{}
	}
	if strings.Contains(said, "inconsistent vendoring") {
		return remark{file: "vendor/modules.txt"}
	}
	if strings.Contains(said, "go.mod requires go") {
		return remark{file: "go.mod", line: t.manifest.languageLine, column: 1}
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

// inManifest puts a remark that the go command placed into go.mod to where the user would look for it.
func (t *tree) inManifest(r remark) remark {
	said := r.message
	r.message = t.reword(said)
	if t.manifest.made || t.locked {
		module, _ := t.moduleOf(said)
		place := t.placeOf(module, said)
		r.file, r.line, r.column = place.file, place.line, place.column
	}
	return r
}

// inModule is a remark on a file of another module: the user can only choose another version.
func (t *tree) inModule(name, line, column, message string) (remark, bool) {
	match := regexp.MustCompile(`([^/]+\.[^/]+(?:/[^@]+)?)@([^/]+)/(.*)$`).FindStringSubmatch(name)
	if match == nil {
		return remark{}, false
	}
	path := match[1]
	for _, r := range t.manifest.requires {
		if strings.HasSuffix("/"+path, "/"+r.path) {
			path = r.path
		}
	}
	for _, marker := range []string{"/modules/", "/.modules/"} {
		if at := strings.LastIndex(path, marker); at >= 0 {
			path = path[at+len(marker):]
		}
	}
	r := t.placeOf(path, path)
	r.message = fmt.Sprintf("%s@%s does not compile with this Go: %s:%s:%s: %s. Ask for another version of it", path, match[2], match[3], line, column, message)
	return r, true
}

const longestSentence = 2000

// condense makes one sentence of the lines that say what went wrong, each once.
func condense(text string) string {
	var kept []string
	seen := map[string]bool{}
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "go: "))
		if strings.HasPrefix(line, "SECURITY ERROR") {
			break
		}
		noise := line == "" || seen[line]
		for _, start := range []string{"#", "(exit status", "downloading ", "finding module ", "found ", "added ", "upgraded ",
			"For more information", "To ignore the vendor", "To sync the vendor", "Confirm the import path", "If this is a private repository"} {
			noise = noise || strings.HasPrefix(line, start)
		}
		if !noise {
			seen[line] = true
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
	for _, part := range []string{"missing go.sum entry", "updates to go.mod needed", "updates to go.sum needed",
		"is replaced but not required", "disabled by -mod=readonly", "no required module provides package"} {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}
