package devstack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// BinaryOptions says where the Temporal CLI may come from. The zero value is
// what most callers want.
type BinaryOptions struct {
	ToolsDir string // the module that pins the CLI; "" looks for this checkout's tools/temporal
	CacheDir string // where builds are kept; "" is the user's cache folder
	Logger   *slog.Logger
}

// ErrNoTemporal says that there is no Temporal CLI that will do on this machine.
var ErrNoTemporal = errors.New("no Temporal CLI with a server of 1.29 or newer; " +
	"run inside a checkout of Tandem, which can build one, or install it: https://docs.temporal.io/cli/setup-cli")

const temporalPackage = "github.com/temporalio/cli/cmd/temporal"

// Older servers lack Update-with-Start or task priorities.
const oldestServerMinor = 29

// FindTemporal returns a Temporal CLI without building one: `temporal` on PATH
// if it is new enough, else a build from before, else [ErrNoTemporal].
func FindTemporal(ctx context.Context, o BinaryOptions) (string, error) {
	if path, err := exec.LookPath("temporal"); err == nil {
		if path, err = filepath.Abs(path); err == nil && isNewEnough(ctx, path) {
			return path, nil
		}
	}
	cache, err := o.cacheDir()
	if err != nil {
		return "", err
	}
	if pin, err := findPin(o.ToolsDir); err == nil {
		if path := pin.cached(cache); isExecutable(path) {
			return path, nil
		}
		return "", ErrNoTemporal
	}
	builds, _ := filepath.Glob(filepath.Join(cache, "temporal-*", "temporal"))
	for _, path := range builds {
		if isNewEnough(ctx, path) {
			return path, nil
		}
	}
	return "", ErrNoTemporal
}

// EnsureTemporal is [FindTemporal] that, inside a checkout, builds the pinned
// CLI if there is none. That takes minutes, once; callers that come meanwhile,
// in this process or another, wait for the one build.
func EnsureTemporal(ctx context.Context, o BinaryOptions) (string, error) {
	path, err := FindTemporal(ctx, o)
	if !errors.Is(err, ErrNoTemporal) {
		return path, err
	}
	pin, err := findPin(o.ToolsDir)
	if err != nil {
		return "", fmt.Errorf("%w (%w)", ErrNoTemporal, err)
	}
	cache, err := o.cacheDir()
	if err != nil {
		return "", err
	}
	path = pin.cached(cache)
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	lock, err := waitLock(ctx, filepath.Join(cache, "temporal.lock"), "the build of the Temporal CLI")
	if err != nil {
		return "", err
	}
	defer lock.release()
	if isExecutable(path) {
		return path, nil // built by whoever had the lock before us
	}
	orDiscard(o.Logger).Info("building the Temporal CLI, once, takes a few minutes", "version", pin.version)
	return path, pin.build(ctx, path)
}

func (o BinaryOptions) cacheDir() (string, error) {
	if o.CacheDir != "" {
		return o.CacheDir, nil
	}
	return cacheDir()
}

func cacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder: %w", err)
	}
	return filepath.Join(dir, "tandem"), nil
}

// pin is the tools module and what it says about the CLI.
type pin struct {
	dir     string
	version string // "1.5.1"
	sum     string // of its go.sum: other dependencies, another build
}

var pinnedVersion = regexp.MustCompile(`github\.com/temporalio/cli v(\S+)`)

func findPin(dir string) (pin, error) {
	if dir == "" {
		var err error
		if dir, err = findToolsDir(); err != nil {
			return pin{}, err
		}
	}
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return pin{}, fmt.Errorf("read the pinned tools: %w", err)
	}
	sums, err := os.ReadFile(filepath.Join(dir, "go.sum"))
	if err != nil {
		return pin{}, fmt.Errorf("read the pinned tools: %w", err)
	}
	found := pinnedVersion.FindSubmatch(mod)
	if found == nil {
		return pin{}, fmt.Errorf("%s/go.mod pins no Temporal CLI", dir)
	}
	hash := sha256.Sum256(sums)
	return pin{dir: dir, version: string(found[1]), sum: fmt.Sprintf("%x", hash[:4])}, nil
}

// findToolsDir looks upwards from the current folder, then from where this file
// was compiled, for the root of our module.
func findToolsDir() (string, error) {
	var from []string
	if wd, err := os.Getwd(); err == nil {
		from = append(from, wd)
	}
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		from = append(from, filepath.Dir(file))
	}
	for _, dir := range from {
		for ; ; dir = filepath.Dir(dir) {
			mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
			if err == nil && bytes.HasPrefix(mod, []byte("module github.com/tandem-sync/tandem\n")) {
				return filepath.Join(dir, "tools", "temporal"), nil
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return "", errors.New("not inside a checkout of Tandem")
}

func (p pin) cached(cache string) string {
	return filepath.Join(cache, "temporal-"+p.version+"-"+runtime.GOOS+"-"+runtime.GOARCH+"-"+p.sum, "temporal")
}

// build compiles aside and renames: a build cut short is never taken for a binary.
func (p pin) build(ctx context.Context, path string) error {
	work, err := os.MkdirTemp(filepath.Dir(filepath.Dir(path)), "build-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	made := filepath.Join(work, "temporal")
	cmd := exec.CommandContext(ctx, "go", "build", "-C", p.dir, "-trimpath", "-buildvcs=false",
		"-ldflags=-s -w -X github.com/temporalio/cli/temporalcli.Version="+p.version, "-o", made, temporalPackage)
	// No C compiler needed; and a workspace of the developer's must not mix in.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOOS=", "GOARCH=", "GOFLAGS=-mod=readonly")
	cmd.SysProcAttr = childAttr(0) // its own group, so that cancelling ends the compilers too
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, err := cmd.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("%w (no Go toolchain to build it with: %w)", ErrNoTemporal, err)
	}
	if err != nil {
		return fmt.Errorf("build the Temporal CLI %s: %w\n%s", p.version, errors.Join(err, ctx.Err()), out)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.Rename(made, path)
}

func isExecutable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

var serverVersion = regexp.MustCompile(`Server (\d+)\.(\d+)`)

func isNewEnough(ctx context.Context, path string) bool {
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return false
	}
	said := serverVersion.FindStringSubmatch(strings.TrimSpace(string(out)))
	if said == nil {
		return false
	}
	major, _ := strconv.Atoi(said[1])
	minor, _ := strconv.Atoi(said[2])
	return major > 1 || major == 1 && minor >= oldestServerMinor
}
