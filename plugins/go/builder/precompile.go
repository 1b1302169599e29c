package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// linkCache makes a build cache of another one's entries. Links, because a cache holds thousands of entries and the one
// that is linked to never changes.
func linkCache(from, to string) error {
	return filepath.Walk(from, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, relative)
		if info.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		if info.Name() == recipeFile {
			return nil // is for the other cache alone
		}
		if err := os.Symlink(path, target); err != nil && !os.IsExist(err) {
			return err
		}
		return nil
	})
}

// precompile compiles the packages of other modules that the function imports into the cache `to`, which then holds only
// what `from` does not.
func (t *tree) precompile(c *toolchain, dir, from, to string) ([]remark, error) {
	if err := linkCache(from, to); err != nil {
		return nil, err
	}
	c.cache = to
	c.stopTrimming()
	notes := func(line string) string {
		if strings.ContainsAny(line, " :\t#") || !hasHost(line) {
			return ""
		}
		return "compiled " + line
	}
	arguments := append(append(c.buildFlags(), "-v"), t.externals()...)
	text, err := follow(c.command(dir, arguments...), notes, nil)
	if err != nil {
		return nil, err
	}
	if text != "" {
		return t.explainBuild(c, text, dir)
	}
	var r *recipe
	if t.standsAlone() {
		r = c.recordAll(t.moduleFile(c), t.goSum, t.externals(), map[string]string{"<cache>": from, "<packages>": to})
	}
	err = filepath.Walk(to, func(path string, info os.FileInfo, err error) error {
		if err == nil && (info.Mode()&os.ModeSymlink != 0 || info.Name() == "trim.txt" || info.Name() == "README") {
			return os.Remove(path)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := r.keep(to); err != nil {
		return nil, err
	}
	return nil, keep(to)
}

// sumOfFolder is one sum over the names and contents of all files below a folder.
func sumOfFolder(dir string) (string, error) {
	sum := sha256.New()
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%s\x00%x\n", strings.TrimPrefix(path, dir), sha256.Sum256(text))
		return nil
	})
	return hex.EncodeToString(sum.Sum(nil)), err
}
