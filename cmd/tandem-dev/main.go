// Command tandem-dev is the whole stack in one command, for development, demonstrations and tests: Postgres, Temporal
// with its UI, a stand-in for Stripe, and Tandem itself. It needs no configuration and starts what is not given.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/tandem-sync/tandem/devstack"
)

func main() {
	// The second Ctrl-C ends the process at once: the first one has restored the default.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	err := root().ExecuteContext(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "\ntandem-dev: stopped before it was up")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "\ntandem-dev:", err)
		os.Exit(1)
	}
}

type flags struct {
	dataDir   string
	ephemeral bool
	freePorts bool
	readyFile string
	quiet     bool
}

func root() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use: "tandem-dev", Short: "Tandem with everything it stands on, in one command", Args: cobra.NoArgs,
		Long: `Starts Postgres, Temporal, a stand-in for Stripe and Tandem, and prints where they answer.

Given DATABASE_URL or TEMPORAL_ADDRESS, those are used instead of starting any. Given STRIPE_API_KEY (a test key) or
STRIPE_API_BASE, there is no stand-in. All other variables of tandem work here too.`,
		SilenceUsage: true, SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error { return serve(cmd.Context(), f, cmd.OutOrStdout()) },
	}
	p := cmd.PersistentFlags()
	p.StringVar(&f.dataDir, "data-dir", os.Getenv("TANDEM_DATA_DIR"), "where data is kept (default .tandem)")
	p.BoolVar(&f.ephemeral, "ephemeral", false, "keep nothing: data in a temporary folder, forgotten at the end")
	p.BoolVar(&f.freePorts, "free-ports", false, "take any free ports instead of the usual ones")
	cmd.Flags().StringVar(&f.readyFile, "ready-file", "", "write the addresses here, as JSON, once everything answers")
	cmd.Flags().BoolVar(&f.quiet, "quiet", false, "log to the data folder only")
	cmd.AddCommand(demoCommand(&f), prepareCommand())
	return cmd
}

// prepareCommand is for scripts that must not spend their time limit on a build.
func prepareCommand() *cobra.Command {
	return &cobra.Command{
		Use: "prepare", Short: "Build Temporal's command line if there is none, and start nothing", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			logger := slog.New(slog.NewTextHandler(cmd.OutOrStdout(), nil))
			_, err := devstack.EnsureTemporal(cmd.Context(), devstack.BinaryOptions{Logger: logger})
			return err
		},
	}
}

// serve runs the stack until it is told to stop.
func serve(ctx context.Context, f flags, out io.Writer) (err error) {
	begun := time.Now()
	p, err := f.plan()
	if err != nil {
		return err
	}
	home, err := f.home()
	if err != nil {
		return err
	}
	defer func() { err = home.leave(ctx, err) }()
	console := out
	if f.quiet {
		console = io.Discard
	}
	s, err := start(ctx, f, p, home, slog.New(slog.NewTextHandler(io.MultiWriter(home.log, console), &slog.HandlerOptions{Level: slog.LevelInfo})))
	if err != nil {
		return err
	}
	defer func() { err = s.stop(err) }()
	if f.readyFile != "" {
		if err := s.writeReady(f.readyFile); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, forget(f.readyFile)) }()
	}
	s.banner(out, time.Since(begun))
	err = s.wait(ctx)
	fmt.Fprintln(out, "\nstopping …")
	return err
}

// forget removes the ready file: nothing answers there any more.
func forget(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// home is the data folder.
type home struct {
	dir       string
	temporary bool
	log       *os.File
}

func (f flags) home() (*home, error) {
	h := &home{dir: f.dataDir, temporary: f.ephemeral}
	if h.dir == "" {
		h.dir = ".tandem"
	}
	var err error
	if f.ephemeral {
		if h.dir, err = os.MkdirTemp("", "tandem-dev-"); err != nil {
			return nil, err
		}
	}
	if h.dir, err = filepath.Abs(h.dir); err != nil {
		return nil, err
	}
	// Others may pass: Postgres runs as another user when this is root. What is inside has modes of its own.
	if err := os.MkdirAll(h.dir, 0o755); err != nil {
		return nil, err
	}
	if f.ephemeral {
		if err := os.Chmod(h.dir, 0o755); err != nil {
			return nil, err
		}
	}
	h.log, err = os.OpenFile(h.path("tandem.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	return h, err
}

func (h *home) path(name string) string { return filepath.Join(h.dir, name) }

// leave closes the log, and forgets an ephemeral folder unless something went wrong in it. That somebody has interrupted
// the start is nothing wrong.
func (h *home) leave(ctx context.Context, err error) error {
	_ = h.log.Close() // nothing is written after this, and nobody could read an error about it
	switch {
	case h.temporary && (err == nil || ctx.Err() != nil):
		return errors.Join(err, os.RemoveAll(h.dir))
	case h.temporary:
		return fmt.Errorf("%w\n(left for you to look at: %s)", err, h.dir)
	}
	return err
}
