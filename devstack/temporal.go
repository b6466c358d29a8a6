package devstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// TemporalOptions says where and how a Temporal development server runs.
type TemporalOptions struct {
	// DBFile keeps the server's state over restarts; "" keeps it in memory only.
	DBFile string
	Port   int // 0: any free one
	UIPort int // 0: any free one
	// Headless leaves the web UI out, which makes the server start sooner.
	Headless  bool
	Namespace string // "" is "default", which is always there
	// SearchAttributes by name, with their type as the CLI spells it: "Keyword",
	// "Int", … Those missing in the namespace are added, also to an older DBFile.
	SearchAttributes map[string]string
	// LogFile takes the server's output; "" is temporal.log beside DBFile, or a
	// temporary file for a server in memory.
	LogFile string
	// Binary is the CLI to run; "" means [EnsureTemporal] with the two folders.
	Binary   string
	ToolsDir string
	CacheDir string
	Logger   *slog.Logger
}

// Temporal is a running development server.
type Temporal struct {
	o            TemporalOptions
	port, uiPort int
	temporary    bool // the log file is ours to remove
	log          *os.File
	lock         *fileLock
	process      *process
	logger       *slog.Logger
	stopOnce     sync.Once
	stopErr      error
}

const temporalStartTimeout = 2 * time.Minute

// dynamicConfig tunes the server for one machine with one shard.
var dynamicConfig = []string{
	// A shard polls 20 times a second by default, so that every hop of a workflow
	// waits up to 50 ms. Measured, Update-with-Start, median: 50 ms to 14 ms.
	"history.transferProcessorMaxPollRPS=2000",
	// Timers have the same brake, and may fire up to a second late, an allowance
	// for the clocks of many machines. Measured, a workflow of three activities
	// and a timer of 10 ms: 1,070 ms to 90 ms. Retries gain as much.
	"history.timerProcessorMaxPollRPS=2000",
	`history.timerProcessorMaxTimeShift="5ms"`,
	// Without it, priorities of tasks (interactive before bulk) are ignored.
	"matching.useNewMatcher=true",
}

// StartTemporal starts a server and returns when its namespace and search
// attributes answer. The context bounds the start, including a build of the CLI.
// Errors: [PortTakenError], [InUseError], [ErrNoTemporal], or one that carries
// the end of the server's log.
func StartTemporal(ctx context.Context, o TemporalOptions) (*Temporal, error) {
	tp := &Temporal{o: o, logger: orDiscard(o.Logger)}
	if err := tp.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start Temporal: %w", err), tp.Stop())
	}
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, temporalStartTimeout)
	defer cancel()
	if err := tp.launch(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start Temporal: %w", err), tp.Stop())
	}
	tp.logger.Info("temporal.started", "address", tp.Address(), "ui", tp.UIURL(), "db_file", tp.o.DBFile,
		"binary", tp.o.Binary, "took", time.Since(begun).Round(time.Millisecond))
	return tp, nil
}

// prepare settles the options, the binary, the log and the database file.
func (tp *Temporal) prepare(ctx context.Context) (err error) {
	o := &tp.o
	if err := tp.checkPorts(); err != nil { // before a build of minutes
		return err
	}
	if o.Namespace == "" {
		o.Namespace = "default"
	}
	if o.DBFile != "" {
		if err := tp.openDatabase(ctx); err != nil {
			return err
		}
	}
	if o.LogFile == "" && o.DBFile == "" {
		tp.log, err = os.CreateTemp("", "tandem-temporal-*.log")
		tp.temporary = true
	} else {
		if o.LogFile == "" {
			o.LogFile = filepath.Join(filepath.Dir(o.DBFile), "temporal.log")
		}
		tp.log, err = openLog(o.LogFile)
	}
	if err != nil {
		return err
	}
	if o.Binary == "" {
		o.Binary, err = EnsureTemporal(ctx, BinaryOptions{ToolsDir: o.ToolsDir, CacheDir: o.CacheDir, Logger: o.Logger})
	}
	return err
}

func (tp *Temporal) checkPorts() error {
	if tp.o.Port != 0 {
		if err := checkPort("Temporal", tp.o.Port); err != nil {
			return err
		}
	}
	if tp.o.UIPort != 0 && !tp.o.Headless {
		return checkPort("Temporal UI", tp.o.UIPort)
	}
	return nil
}

// openDatabase locks the database file, stops what may still be serving it, and
// clears one whose first start never got ready: the server makes its tables
// only when there is no file, so it would never repair half-made ones.
func (tp *Temporal) openDatabase(ctx context.Context) (err error) {
	file := &tp.o.DBFile
	if *file, err = filepath.Abs(*file); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(*file), 0o755); err != nil {
		return err
	}
	if tp.lock, err = tryLock(*file+".lock", *file); err != nil {
		return err
	}
	if err := reapOrphan(ctx, *file+".pid", *file, syscall.SIGTERM); err != nil {
		return err
	}
	_, missing := os.Stat(*file)
	_, unfinished := os.Stat(*file + ".new")
	if missing != nil || unfinished == nil {
		for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
			if err := os.Remove(*file + suffix); err != nil && !os.IsNotExist(err) {
				return err
			}
		}
		return os.WriteFile(*file+".new", nil, 0o600)
	}
	return nil
}

// launch runs the server. It takes some ports of its own choice too, and any
// not fixed by the caller can be lost before it is used; then it tries others.
func (tp *Temporal) launch(ctx context.Context) (err error) {
	for attempt := 1; ; attempt++ {
		if tp.port, err = choosePort("Temporal", tp.o.Port); err != nil {
			return err
		}
		if tp.uiPort = 0; !tp.o.Headless {
			if tp.uiPort, err = choosePort("Temporal UI", tp.o.UIPort); err != nil {
				return err
			}
		}
		err = tp.launchOnce(ctx)
		if !errors.Is(err, errEndedEarly) {
			return err
		}
		tail := logTail(tp.log.Name())
		if attempt == 5 || !strings.Contains(tail, "address already in use") {
			return fmt.Errorf("%w; %s", err, tail)
		}
	}
}

func (tp *Temporal) launchOnce(ctx context.Context) (err error) {
	c := command{path: tp.o.Binary, args: tp.arguments(), out: tp.log, deathSignal: syscall.SIGTERM}
	if tp.process, err = c.start(); err != nil {
		tp.process = nil
		return err
	}
	if tp.o.DBFile != "" {
		pid := strconv.Itoa(tp.process.cmd.Process.Pid)
		if err := os.WriteFile(tp.o.DBFile+".pid", []byte(pid+"\n"), 0o600); err != nil {
			return err
		}
	}
	if err := tp.awaitReady(ctx); err != nil {
		return err
	}
	if tp.o.DBFile == "" {
		return nil
	}
	if err := os.Remove(tp.o.DBFile + ".new"); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

func (tp *Temporal) arguments() []string {
	args := []string{
		"server", "start-dev", "--ip", loopback, "--port", strconv.Itoa(tp.port),
		"--namespace", tp.o.Namespace, "--log-level", "warn", "--log-format", "json",
	}
	if tp.o.Headless {
		args = append(args, "--headless")
	} else {
		args = append(args, "--ui-port", strconv.Itoa(tp.uiPort))
	}
	if tp.o.DBFile != "" {
		// The write-ahead log takes 2.8 times the workflows of the default journal.
		args = append(args, "--db-filename", tp.o.DBFile,
			"--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=1")
	}
	for _, value := range dynamicConfig {
		args = append(args, "--dynamic-config-value", value)
	}
	for name, kind := range tp.o.SearchAttributes {
		args = append(args, "--search-attribute", name+"="+kind)
	}
	return args
}

// Address is the host and port of the server's API.
func (tp *Temporal) Address() string { return address(tp.port) }

// UIURL is the address of the web UI, "" for a headless server.
func (tp *Temporal) UIURL() string {
	if tp.uiPort == 0 {
		return ""
	}
	return "http://" + address(tp.uiPort)
}

// PID is the server's process id, for tests that kill it.
func (tp *Temporal) PID() int { return tp.process.cmd.Process.Pid }

// Done is closed when the server has ended, by Stop or by itself.
func (tp *Temporal) Done() <-chan struct{} { return tp.process.done }

// Stop ends the server, by force if it takes more than seconds. It may be
// called again.
func (tp *Temporal) Stop() error {
	tp.stopOnce.Do(func() { tp.stopErr = tp.stop() })
	return tp.stopErr
}

func (tp *Temporal) stop() error {
	if tp.process != nil {
		tp.process.stop(signalStep{syscall.SIGTERM, 15 * time.Second})
		tp.logger.Info("temporal.stopped", "address", tp.Address())
	}
	var err error
	if tp.process != nil && tp.o.DBFile != "" {
		_ = os.Remove(tp.o.DBFile + ".pid") // one left behind is seen through at the next start
	}
	if tp.log != nil {
		err = tp.log.Close()
		if tp.temporary {
			err = errors.Join(err, os.Remove(tp.log.Name()))
		}
	}
	if tp.lock != nil {
		tp.lock.release()
	}
	return err
}
