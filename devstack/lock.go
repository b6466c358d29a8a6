package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var errEndedEarly = errors.New("it ended during start")

// InUseError says that a live process, by its id, is using the data already.
type InUseError struct {
	Path string
	PID  int // 0 when it is not known
}

func (e *InUseError) Error() string {
	return fmt.Sprintf("%s is in use by a running process (id %d); stop that one or choose another place", e.Path, e.PID)
}

// fileLock is held by a process until it lets go or ends, however it ends.
type fileLock struct{ file *os.File }

// tryLock takes the lock at path for the data at what, or says who holds it.
func tryLock(path, what string) (*fileLock, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", what, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		pid := readPID(path)
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, &InUseError{Path: what, PID: pid}
		}
		return nil, fmt.Errorf("lock %s: %w", what, err)
	}
	_ = f.Truncate(0) // the id inside is for messages only; the lock itself is the kernel's
	_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return &fileLock{file: f}, nil
}

// waitLock takes the lock, waiting for whoever holds it.
func waitLock(ctx context.Context, path, what string) (*fileLock, error) {
	for {
		l, err := tryLock(path, what)
		if inUse := (*InUseError)(nil); !errors.As(err, &inUse) {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for %s: %w", what, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// release unlocks before it closes: the lock belongs to the open file, of which
// a child of ours that is being forked right now has a copy.
func (l *fileLock) release() {
	_ = syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN)
	_ = l.file.Close()
}

// readPID reads the number on the first line of a file, 0 if there is none.
func readPID(path string) int {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(data), "\n")
	pid, _ := strconv.Atoi(strings.TrimSpace(line))
	return pid
}

// reapOrphan stops a server that outlived the process which started it. The
// caller holds the lock on its data, so nobody else can be its owner; mark (the
// data's path) in the command line guards against a process id used anew.
func reapOrphan(ctx context.Context, pidFile, mark string, stop syscall.Signal) error {
	pid := readPID(pidFile)
	if pid <= 0 {
		return nil
	}
	alive := func() bool { return strings.Contains(commandLine(pid), mark) }
	for deadline := time.Now().Add(20 * time.Second); alive(); {
		_ = syscall.Kill(pid, stop)
		if time.Now().After(deadline) {
			stop = syscall.SIGKILL
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the previous server (id %d) to end: %w", pid, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
	// Its successor would take a file that names an unrelated live process for a rival.
	if err := os.Remove(pidFile); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("remove a stale process id: %w", err)
	}
	return nil
}
