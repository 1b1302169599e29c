package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// What functions use, so that building one compiles nothing but the function itself. The rest of the standard library
// works too and takes its time.
var common = []string{
	"archive/tar", "archive/zip", "bufio", "bytes", "compress/gzip", "compress/zlib", "container/heap",
	"container/list", "context", "crypto", "crypto/aes", "crypto/cipher", "crypto/ecdsa", "crypto/ed25519",
	"crypto/elliptic", "crypto/hmac", "crypto/md5", "crypto/rand", "crypto/rsa", "crypto/sha1", "crypto/sha256",
	"crypto/sha512", "crypto/subtle", "crypto/tls", "crypto/x509", "database/sql", "embed", "encoding",
	"encoding/base32", "encoding/base64", "encoding/binary", "encoding/csv", "encoding/gob", "encoding/hex",
	"encoding/json", "encoding/pem", "encoding/xml", "errors", "expvar", "flag", "fmt", "hash", "hash/crc32",
	"hash/fnv", "html", "html/template", "image", "image/color", "image/draw", "image/gif", "image/jpeg",
	"image/png", "io", "io/fs", "log", "math", "math/big", "math/bits", "math/cmplx", "math/rand", "mime",
	"mime/multipart", "net", "net/http", "net/http/httptest", "net/mail", "net/smtp", "net/url", "os", "os/exec",
	"os/signal", "path", "path/filepath", "reflect", "regexp", "runtime", "runtime/debug", "sort", "strconv",
	"strings", "sync", "sync/atomic", "syscall", "text/tabwriter", "text/template", "time", "unicode",
	"unicode/utf16", "unicode/utf8",
}

// Packages that only later toolchains have.
var commonLater = []string{"cmp", "iter", "log/slog", "maps", "math/rand/v2", "net/netip", "slices", "unique"}

// warm fills the cache with the worker and the common packages, by the same way that functions are built.
func warm(c *toolchain) error {
	for _, folder := range []string{c.cache, filepath.Join(c.scratch, "user")} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	packages := common
	for _, name := range commonLater {
		if isStandard(c.root, name) {
			packages = append(packages, name)
		}
	}
	source := filepath.Join(c.scratch, "user")
	code := "func handler(event interface{}) interface{} { return fmt.Sprint(event) }\n"
	if err := os.WriteFile(filepath.Join(source, "main.go"), []byte(code), 0o644); err != nil {
		return err
	}
	remarks, err := buildProgram(&options{chain: c, source: source, handler: "handler", output: filepath.Join(c.scratch, "main")}, nil)
	if err != nil || len(remarks) > 0 {
		return fmt.Errorf("the cache cannot be warmed: %v %v", err, remarks)
	}
	cmd := c.command(filepath.Join(c.scratch, "src"), append(c.buildFlags(), packages...)...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("the cache cannot be warmed: %v %s", err, text)
	}
	goMod, err := os.ReadFile(filepath.Join(c.scratch, "src", "go.mod"))
	if err != nil {
		return err
	}
	if err := c.recordAll(goMod, nil, nil, map[string]string{"<cache>": c.cache}).keep(c.cache); err != nil {
		return err
	}
	return keep(c.cache)
}

// keep dates the entries far ahead: the go command then neither refreshes their times, which would copy each one into
// the sandbox's scratch layer, nor drops them for their age. And it opens them, and this program, to other users.
func keep(cache string) error {
	if self, err := os.Executable(); err == nil {
		_ = os.Chmod(self, 0o755)
	}
	future := time.Date(2037, 1, 1, 0, 0, 0, 0, time.UTC)
	return filepath.Walk(cache, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		if info.IsDir() {
			return os.Chmod(path, 0o755)
		}
		if err := os.Chmod(path, 0o644); err != nil {
			return err
		}
		return os.Chtimes(path, future, future)
	})
}
