// Command tandem keeps the customers of the billing platform and of the payment provider the same. Its subcommands are
// the folders' words: serve, worker, or all in one process; and those of package cli, which talk to a running one.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/app"
	"github.com/tandem-sync/tandem/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := root().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "tandem:", err)
		os.Exit(cli.ExitCode(err))
	}
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use: "tandem", Short: "Keeps customers of the billing platform and of the payment provider the same",
		Version: version(), SilenceUsage: true, SilenceErrors: true,
	}
	cmd.AddCommand(
		runCommand("serve", "Answer the HTTP API and webhooks", app.Serve),
		runCommand("worker", "Run the workflows and their activities", app.Work),
		runCommand("all", "serve and worker in one process", app.Serve|app.Work),
		migrateCommand(), keyCommand(),
	)
	cli.AddTo(cmd, cli.Options{})
	return cmd
}

func runCommand(use, short string, role app.Role) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		cfg, err := app.LoadConfig()
		if err = errors.Join(err, cfg.Validate(app.NeedsAll)); err != nil {
			return fmt.Errorf("the configuration is not usable:\n%w", err)
		}
		logger := newLogger(cfg.LogLevel)
		a, err := app.Open(cmd.Context(), cfg, role, logger)
		if err != nil {
			return err
		}
		err = a.Run(cmd.Context())
		logger.Info("app.stopping")
		return errors.Join(err, a.Close())
	}}
}

func migrateCommand() *cobra.Command {
	return &cobra.Command{Use: "migrate", Short: "Bring the database schema up to date", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		cfg, err := app.LoadConfig()
		if err = errors.Join(err, cfg.Validate(app.NeedsDatabase)); err != nil {
			return fmt.Errorf("the configuration is not usable:\n%w", err)
		}
		store, err := cfg.OpenStore(cmd.Context(), tandem.Policy{}, nil)
		if err != nil {
			return err
		}
		ran, err := store.Migrate(cmd.Context())
		for _, name := range ran {
			fmt.Fprintln(cmd.OutOrStdout(), "applied", name)
		}
		if err == nil && len(ran) == 0 {
			fmt.Fprintln(cmd.OutOrStdout(), "the schema is up to date")
		}
		return errors.Join(err, store.Close())
	}}
}

func keyCommand() *cobra.Command {
	hash := &cobra.Command{
		Use: "hash", Short: "Read an API key from standard input and print it as TANDEM_API_KEYS wants it", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			scanner := bufio.NewScanner(cmd.InOrStdin())
			if !scanner.Scan() || len(scanner.Text()) < 12 {
				return errors.New("a key of at least 12 characters is expected on standard input")
			}
			fmt.Fprintln(cmd.OutOrStdout(), string(app.HashKey(scanner.Text())))
			return nil
		},
	}
	cmd := &cobra.Command{Use: "key", Short: "API keys"}
	cmd.AddCommand(hash)
	return cmd
}

func newLogger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{Level: level}))
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
