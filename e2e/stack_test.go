package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jmoiron/sqlx"
	_ "github.com/lib/pq" // the driver of facts_test.go
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
)

// stack is one running tandem-dev.
type stack struct {
	home     string // everything it writes is below
	dataDir  string
	at       addresses
	took     time.Duration // until ready
	stripe   standIn
	db       *sqlx.DB
	temporal client.Client
	cmd      *exec.Cmd
	output   *output
	ended    chan struct{} // closed when the process has ended and err is set
	err      error
}

// addresses is what the ready file says.
type addresses struct {
	API           string `json:"api"`
	Admin         string `json:"admin"`
	Temporal      string `json:"temporal"`
	TemporalUI    string `json:"temporal_ui"`
	Stripe        string `json:"stripe"`
	StripeControl string `json:"stripe_control"`
	Database      string `json:"database"`
	PID           int    `json:"pid"`
}

type stackOptions struct {
	ephemeral bool
	home      string // of an earlier run, to go on from; "" makes one
	env       []string
	control   string // of a stand-in that is not the stack's own
}

// startStack returns when everything answers.
func startStack(o stackOptions) (_ *stack, err error) {
	s := &stack{home: o.home, output: &output{}, ended: make(chan struct{})}
	if s.home == "" {
		if s.home, err = newHome(); err != nil {
			return nil, err
		}
	}
	ready := filepath.Join(s.home, "ready.json")
	if err := os.Remove(ready); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	args := []string{"--free-ports", "--quiet", "--ready-file", ready}
	if o.ephemeral {
		args = append(args, "--ephemeral")
	} else {
		s.dataDir = filepath.Join(s.home, "data")
		args = append(args, "--data-dir", s.dataDir)
	}
	s.cmd = exec.Command(program, args...)
	s.cmd.Env = append(cleanEnv(), append([]string{"TMPDIR=" + s.home, "TANDEM_CATCH_UP_EVERY=0", "TANDEM_RECONCILE_EVERY=0"}, o.env...)...) // what tests lose stays lost
	s.cmd.Stdout, s.cmd.Stderr = s.output, s.output
	begun := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.ended)
	}()
	if err := s.awaitReady(ready); err != nil {
		return nil, errors.Join(err, s.stop(), errors.New(s.tail()))
	}
	s.took = time.Since(begun)
	s.stripe = standIn{control: o.control}
	if o.control == "" {
		s.stripe.control = s.at.StripeControl
	}
	if s.db, err = sqlx.Open("postgres", s.at.Database); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	s.temporal, err = client.NewLazyClient(client.Options{HostPort: s.at.Temporal, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	return s, err
}

// newHome is a folder that other users may pass: as root, Postgres runs as somebody else.
func newHome() (string, error) {
	home, err := os.MkdirTemp("", "tandem-e2e-")
	if err != nil {
		return "", err
	}
	return home, os.Chmod(home, 0o755)
}

// cleanEnv keeps a developer's own settings out of the stack.
func cleanEnv() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		for _, prefix := range []string{"TANDEM_", "STRIPE_", "TEMPORAL_", "DATABASE_URL=", "TMPDIR="} {
			if strings.HasPrefix(v, prefix) {
				return true
			}
		}
		return false
	})
}

func (s *stack) awaitReady(path string) error {
	deadline, tick := time.After(startTimeout), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for {
		raw, err := os.ReadFile(path)
		if err == nil {
			return errors.Join(json.Unmarshal(raw, &s.at), s.findDataDir())
		}
		select {
		case <-s.ended:
			return fmt.Errorf("tandem-dev ended during start: %w", s.err)
		case <-deadline:
			return fmt.Errorf("tandem-dev is not ready after %s", startTimeout)
		case <-tick.C:
		}
	}
}

// findDataDir looks where an ephemeral stack has its folder.
func (s *stack) findDataDir() error {
	if s.dataDir != "" {
		return nil
	}
	found, err := filepath.Glob(filepath.Join(s.home, "tandem-dev-*"))
	if err == nil && len(found) != 1 {
		err = fmt.Errorf("want one temporary data folder, found %v", found)
	}
	if err == nil {
		s.dataDir = found[0]
	}
	return err
}

// stop ends the stack as Ctrl-C does and expects a clean end: in time, with success, with nothing left running and, if
// it was ephemeral, nothing left on disk.
func (s *stack) stop() error {
	defer os.RemoveAll(s.home)
	s.disconnect()
	family, err := s.processes()
	if err != nil {
		return err
	}
	_ = s.cmd.Process.Signal(syscall.SIGINT) // an error means that it has ended already, which its status tells
	select {
	case <-s.ended:
		err = s.err
	case <-time.After(stopTimeout):
		_ = s.cmd.Process.Kill()
		<-s.ended
		err = fmt.Errorf("tandem-dev has not stopped %s after Ctrl-C", stopTimeout)
	}
	err = errors.Join(err, s.awaitGone(family))
	if left, _ := filepath.Glob(filepath.Join(s.home, "tandem-dev-*")); len(left) > 0 && err == nil {
		err = fmt.Errorf("an ephemeral stack left %v", left)
	}
	if _, gone := os.Stat(filepath.Join(s.home, "ready.json")); gone == nil && err == nil {
		err = errors.New("the ready file names addresses where nothing answers any more")
	}
	return err
}

func (s *stack) disconnect() {
	if s.db != nil {
		s.db.Close()
	}
	if s.temporal != nil {
		s.temporal.Close()
	}
}

// kill is the power cut: the process gets no chance to do anything. What it started must end all the same.
func (s *stack) kill() error {
	s.disconnect()
	family, err := s.processes()
	if err != nil {
		return err
	}
	if len(family) < 3 {
		return fmt.Errorf("want tandem-dev, Postgres and Temporal, found %v", family)
	}
	if err := s.cmd.Process.Kill(); err != nil {
		return err
	}
	<-s.ended
	return s.awaitGone(family)
}

type process struct {
	pid, parent int
	command     string
}

// processes lists tandem-dev, its descendants, and whoever else has the stack's folder on its command line.
func (s *stack) processes() ([]process, error) {
	out, err := exec.Command("ps", "-axo", "pid=,ppid=,stat=,command=").Output()
	if err != nil {
		return nil, fmt.Errorf("ps: %w", err)
	}
	var all, family []process
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) < 4 || strings.HasPrefix(f[2], "Z") {
			continue
		}
		pid, _ := strconv.Atoi(f[0])
		parent, _ := strconv.Atoi(f[1])
		all = append(all, process{pid, parent, strings.Join(f[3:], " ")})
	}
	kin := map[int]bool{s.cmd.Process.Pid: true}
	for grew := true; grew; {
		grew = false
		for _, p := range all {
			if !kin[p.pid] && (kin[p.parent] || strings.Contains(p.command, s.home)) {
				kin[p.pid], grew = true, true
			}
		}
	}
	for _, p := range all {
		if kin[p.pid] {
			family = append(family, p)
		}
	}
	return family, nil
}

// awaitGone waits until none of these processes, and none that they may have started since, is left.
func (s *stack) awaitGone(family []process) error {
	deadline, tick := time.After(stopTimeout), time.NewTicker(50*time.Millisecond)
	defer tick.Stop()
	for {
		alive, err := s.processes()
		if err != nil {
			return err
		}
		for _, p := range family {
			if syscall.Kill(p.pid, 0) == nil && !slices.Contains(alive, p) && stillThe(p) {
				alive = append(alive, p)
			}
		}
		if len(alive) == 0 {
			return nil
		}
		select {
		case <-deadline:
			return fmt.Errorf("still running %s after the end of tandem-dev: %v", stopTimeout, alive)
		case <-tick.C:
		}
	}
}

// stillThe tells a process from another one that got its id since, and from a dead one that nobody has waited for.
func stillThe(p process) bool {
	out, err := exec.Command("ps", "-o", "stat=,command=", "-p", strconv.Itoa(p.pid)).Output()
	f := strings.Fields(string(out))
	return err == nil && len(f) > 1 && !strings.HasPrefix(f[0], "Z") && strings.Join(f[1:], " ") == p.command
}

// rss is the resident memory of tandem-dev itself, in bytes.
func (s *stack) rss() (int, error) {
	out, err := exec.Command("ps", "-o", "rss=", "-p", strconv.Itoa(s.at.PID)).Output()
	if err != nil {
		return 0, fmt.Errorf("ps: %w", err)
	}
	kib, err := strconv.Atoi(strings.TrimSpace(string(out)))
	return kib << 10, err
}

func (s *stack) readLog() ([]byte, error) { return os.ReadFile(filepath.Join(s.dataDir, "tandem.log")) }

// tail is what a person needs to see when the stack has failed.
func (s *stack) tail() string {
	text, _ := s.readLog()
	if lines := bytes.Split(text, []byte("\n")); len(lines) > 60 {
		text = bytes.Join(lines[len(lines)-60:], []byte("\n"))
	}
	return fmt.Sprintf("--- output of tandem-dev\n%s\n--- end of its log\n%s", s.output, text)
}

// complaints are the warnings and errors of the log, for whoever has to find out why a test failed. Some are expected:
// the tests cause failures.
func (s *stack) complaints(name string) string {
	text, _ := s.readLog()
	var out strings.Builder
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, "level=INFO") {
			fmt.Fprintf(&out, "%s: %s", name, line)
		}
	}
	return out.String()
}

// output collects what a process prints.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
