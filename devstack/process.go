package devstack

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// command describes a child process.
type command struct {
	path string
	args []string
	dir  string
	env  []string // added to the few variables passed on, see childEnv
	out  *os.File // stdout and stderr; nil discards them
	user *account // nil: run as ourselves

	// deathSignal is what the kernel sends the child when we are killed (Linux only).
	deathSignal syscall.Signal
}

// process is a running child that is waited for in the background.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the child has ended and err is set
	err  error
}

// start runs the command. The child's death signal is tied to the thread that
// forked it, not to our process: if the Go runtime retired that thread, the
// child would die with it. So one thread is kept for as long as the child lives.
func (c command) start() (*process, error) {
	cmd := exec.Command(c.path, c.args...)
	cmd.Dir = c.dir
	cmd.Env = append(childEnv(), c.env...)
	if c.out != nil {
		cmd.Stdout, cmd.Stderr = c.out, c.out
	}
	cmd.SysProcAttr = childAttr(c.deathSignal)
	if c.user != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: c.user.uid, Gid: c.user.gid}
	}

	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.done)
		}
	}()
	return p, <-started
}

// run starts the command and waits for its end; when ctx ends first, it kills it.
func (c command) run(ctx context.Context) error {
	p, err := c.start()
	if err != nil {
		return err
	}
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		p.kill()
		return ctx.Err()
	}
}

// signalStep is one rung of the ladder from a polite request to force.
type signalStep struct {
	signal syscall.Signal
	wait   time.Duration
}

// stop asks the child to end, step by step, and kills it if no step helps.
// It returns once the child is gone, and is safe to call again.
func (p *process) stop(steps ...signalStep) {
	for _, s := range steps {
		_ = p.cmd.Process.Signal(s.signal) // an error means it has ended already
		select {
		case <-p.done:
			return
		case <-time.After(s.wait):
		}
	}
	p.kill()
}

// kill ends the child and what it started in its process group.
func (p *process) kill() {
	select {
	case <-p.done:
	default:
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.done
	}
}

// waitReady polls until ready says nil, the child ends, or the context does.
func (p *process) waitReady(ctx context.Context, ready func(context.Context) error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		if last = ready(ctx); last == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%w: %w", errEndedEarly, p.err)
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w (last answer: %w)", context.Cause(ctx), last)
		case <-tick.C:
		}
	}
}

// childEnv is an allow list: the children need no keys, tokens or database
// settings that happen to be in our environment.
func childEnv() []string {
	env := []string{"LC_ALL=C"} // Postgres on macOS refuses to start without a locale
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

func orDiscard(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return l
}

// openLog opens a fresh log file and keeps the one before as <path>.1, so that
// the reason of a crash survives the restart.
func openLog(path string) (*os.File, error) {
	if err := os.Rename(path, path+".1"); err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("keep the previous log: %w", err)
	}
	return os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
}

// logTail returns the last lines of a log, indented to stand below an error.
func logTail(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return "(no log: " + err.Error() + ")"
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	if len(lines) > 20 {
		lines = lines[len(lines)-20:]
	}
	return "the end of " + path + ":\n\t" + strings.Join(lines, "\n\t")
}
