package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

// Whatever needs the network. Nothing of what is fetched runs here or later in the build: no cgo, no generators, no
// other toolchain than the machine's.

// Settings of the operator that the go command knows and the executor passes on.
var operatorSettings = []string{
	"GOPROXY", "GOPRIVATE", "GONOPROXY", "GONOSUMDB", "GONOSUMCHECK", "GOSUMDB", "GOINSECURE", "GOAUTH", "GOVCS",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR",
}

// goOnline prepares the settings for commands that use the network. `netrc` has the operator's passwords: they lie in the
// sandbox's /tmp, which is memory and goes with the sandbox.
func (c *toolchain) goOnline(netrc string) error {
	home, err := os.MkdirTemp("/tmp", "cf-go-home")
	if err != nil {
		return err
	}
	c.temporaryHome = home
	// Counting would go on behind the go command's back while the folder is being removed.
	counting := filepath.Join(home, ".config", "go", "telemetry")
	if err := os.MkdirAll(counting, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(counting, "mode"), []byte("off 2024-01-01"), 0o600); err != nil {
		return err
	}
	c.settings = []string{"HOME=" + home, "GOFLAGS=-mod=mod -modcacherw", "GIT_TERMINAL_PROMPT=0"}
	if netrc != "" {
		// git looks for it in the home folder, the go command where NETRC says.
		path := filepath.Join(home, ".netrc")
		if err := os.WriteFile(path, []byte(netrc), 0o600); err != nil {
			return err
		}
		c.settings = append(c.settings, "NETRC="+path)
	}
	for _, name := range operatorSettings {
		value, set := os.LookupEnv(name)
		if name == "GOPROXY" {
			value, set = proxies(value, haveGit()), true
		}
		if set {
			c.settings = append(c.settings, name+"="+value)
		}
	}
	return nil
}

func haveGit() bool {
	_, err := os.Stat("/usr/bin/git")
	return err == nil
}

var directly = regexp.MustCompile(`(^|[,|])direct([,|].*)?$`)

const defaultProxies = "https://proxy.golang.org,direct"

// proxies leaves `direct` out where there is no git to do it with.
func proxies(list string, git bool) string {
	if list == "" {
		list = defaultProxies
	}
	if git {
		return list
	}
	if list = directly.ReplaceAllString(list, ""); list == "" {
		return "off"
	}
	return list
}

// online runs a go command that may use the network; what it says is passed on as it comes. Gives that text when it
// failed.
func (c *toolchain) online(dir string, show func(line string) string, arguments ...string) (string, error) {
	return follow(c.prepared(dir, c.settings, arguments), show, &watch{patience: c.patience, read: readByOthers})
}

// follow runs a command, passes on what `show` makes of what it says on standard error, and gives all of that when it
// failed, without a trace of requests. One whose proxies stay silent is ended, and the text says so.
func follow(cmd *exec.Cmd, show func(line string) string, silence *watch) (string, error) {
	reader, writer := io.Pipe()
	cmd.Stderr = writer
	var text strings.Builder
	done := make(chan struct{})
	go func() {
		defer close(done)
		lines := bufio.NewReader(reader)
		for {
			line, err := lines.ReadString('\n')
			text.WriteString(line)
			if shown := show(strings.TrimRight(line, "\n")); shown != "" {
				fmt.Fprintln(os.Stderr, shown)
			}
			if err != nil {
				return
			}
		}
	}()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err := cmd.Start()
	ended := false
	switch {
	case err == nil && silence != nil:
		silence.begin(cmd)
		err = cmd.Wait()
		ended = silence.end()
	case err == nil:
		err = cmd.Wait()
	}
	_ = writer.Close()
	<-done
	if err == nil {
		return "", nil
	}
	if ended {
		return nothingCame(text.String(), silence.patience), nil
	}
	if _, exited := err.(*exec.ExitError); !exited {
		return "", fmt.Errorf("the go command could not be started: %v", err)
	}
	said := text.String()
	if silence != nil {
		said = withoutTrace(said)
	}
	return said + fmt.Sprintf("\n(%v)", err), nil
}

// lock finds a version and the sums for everything that the function imports. Gives the lock: go.mod and go.sum.
func (t *tree) lock(c *toolchain, dir string) (string, []remark, error) {
	notes := func(line string) string {
		line = strings.TrimPrefix(line, "go: ")
		for _, start := range []string{"downloading ", "added ", "upgraded ", "downgraded "} {
			if strings.HasPrefix(line, start) && !strings.Contains(line, workerModule) {
				return line
			}
		}
		return ""
	}
	run := func(arguments ...string) ([]remark, error) {
		text, err := c.online(dir, notes, arguments...)
		if err != nil || text == "" {
			return nil, err
		}
		return t.explainBuild(c, text, dir)
	}
	if t.wanted != nil {
		get := []string{"get", "-x"}
		if language := c.language(); language == "1.16" || language == "1.17" {
			get = append(get, "-d")
		}
		for _, r := range t.wanted {
			get = append(get, r.path+"@"+r.version)
		}
		if remarks, err := run(get...); err != nil || len(remarks) > 0 {
			return "", remarks, err
		}
	}
	if remarks, err := run("list", "-x", "-deps", "."); err != nil || len(remarks) > 0 {
		return "", remarks, err
	}
	edit := c.command(dir, "mod", "edit", "-droprequire="+workerModule, "-dropreplace="+workerModule)
	if text, err := runAll(edit); err != nil || text != "" {
		return "", nil, fmt.Errorf("go.mod could not be written: %s %v", text, err)
	}
	lock := map[string]string{}
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !os.IsNotExist(err) {
			return "", nil, err
		}
		lock[name] = string(text)
	}
	return formatArchive(lock), nil, nil
}

// openRequires takes what a go.mod made of "dependencies" asks for out of it: `go get` understands more than a go.mod may
// say, and puts the modules in that it finds.
func (t *tree) openRequires() {
	if !t.manifest.made {
		return
	}
	t.wanted = t.manifest.requires
	t.goMod = withoutRequires(t.goMod)
}

var fetched = regexp.MustCompile(`^# get (?:\w+://[^/\s]+|file:)(/\S+)/@v/([^/\s]+)\.zip: 200 OK(.*)$`)

// download fills the module cache with everything that go.mod names.
func (t *tree) download(c *toolchain, dir string) ([]remark, error) {
	text, err := c.online(dir, t.downloadNote, "mod", "download", "-x")
	if err != nil {
		return nil, err
	}
	if text != "" {
		return t.explainBuild(c, text, dir)
	}
	// Builds need what was unpacked, and the sums.
	return nil, filepath.Walk(filepath.Join(c.modules, "cache"), func(path string, info os.FileInfo, err error) error {
		if err == nil && (strings.HasSuffix(path, ".zip") || strings.HasSuffix(path, ".lock") || strings.HasSuffix(path, ".partial")) {
			err = os.Remove(path)
		}
		if err == nil && info.IsDir() && info.Name() == "vcs" {
			if err = os.RemoveAll(path); err == nil {
				err = filepath.SkipDir
			}
		}
		return err
	})
}

// downloadNote makes "downloaded example.com/module v1.2.3" of a line of `go mod download -x`.
func (t *tree) downloadNote(line string) string {
	match := fetched.FindStringSubmatch(line)
	if match == nil {
		return ""
	}
	// Capital letters are written as ! and the small one in a proxy's addresses.
	name := escapedCapital.ReplaceAllStringFunc(match[1], func(s string) string { return strings.ToUpper(s[len(s)-1:]) })
	for _, r := range t.manifest.requires {
		// What lies before a module's path is the proxy's own.
		if strings.HasSuffix(name, "/"+r.path) {
			name = r.path
		}
	}
	return "downloaded " + strings.TrimPrefix(name, "/") + " " + match[2] + match[3]
}

var escapedCapital = regexp.MustCompile(`(?:!|%21)[a-z]`)
