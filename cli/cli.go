// Package cli is the command line of a running Tandem. It knows the HTTP API and nothing else, so it works from
// anywhere, with a caller's rights.
package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// Environment variables.
const (
	EnvURL = "TANDEM_URL"
	EnvKey = "TANDEM_API_KEY"
)

const defaultURL = "http://127.0.0.1:8080"

// Exit codes, beside 0: the wish was fulfilled.
const (
	ExitFailed      = 1   // the API refused, or could not be reached
	ExitUsage       = 2   // the command line is wrong; nothing was asked of the API
	ExitPerson      = 3   // the run that was followed was cancelled, is paused, or has found what a person is to decide
	ExitInterrupted = 130 // stopped following, as a shell says it; the run goes on
)

// Options are what a test sets; the zero value is a person at a terminal.
type Options struct {
	Getenv     func(string) string
	Poll       time.Duration // between two looks at a run that is followed
	IsTerminal func(io.Writer) bool
}

func (o Options) withDefaults() Options {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Poll == 0 {
		o.Poll = 2 * time.Second
	}
	if o.IsTerminal == nil {
		o.IsTerminal = func(w io.Writer) bool {
			f, ok := w.(*os.File)
			return ok && term.IsTerminal(int(f.Fd()))
		}
	}
	return o
}

// exitError carries the exit code of a failure.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// ExitCode is what a process ends with after err.
func ExitCode(err error) int {
	if err == nil {
		return 0
	}
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.code
	}
	return ExitFailed
}

func usage(format string, args ...any) error {
	return &exitError{ExitUsage, fmt.Errorf(format, args...)}
}

// AddTo puts the commands under root. Call it when root's own are there: all of them get the same exit codes.
func AddTo(root *cobra.Command, o Options) {
	a := &app{Options: o.withDefaults()}
	commands := []*cobra.Command{
		a.begin("import", "Create customers for remote customers that nobody here knows, and repair all links"),
		a.begin("export", "Create remote customers for customers that nobody over there knows, and repair all links"),
		a.begin("reconcile", "Repair all links, and report what is missing on one side"),
		a.runs(), a.customers(), a.events(), a.mappings(), a.providers(), a.catchUp(), a.retry(),
	}
	for _, c := range commands {
		c.PersistentFlags().StringVar(&a.url, "url", "", "where the API is (default "+EnvURL+", else "+defaultURL+")")
		c.PersistentFlags().StringVarP(&a.output, "output", "o", outputTable, "table for people, json for machines")
		complete(c, "output", outputTable, outputJSON)
	}
	root.AddCommand(commands...)
	asGroup(root)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage("%w; see %s --help", err, c.CommandPath())
	})
	checkArguments(root)
}

// asGroup makes a command that only has others refuse a word that is none of them. Left to itself it would show its help
// and call that a success.
func asGroup(c *cobra.Command) {
	c.SuggestionsMinimumDistance = 2
	c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	c.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		hint := ""
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			hint = "; did you mean " + strings.Join(near, " or ") + "?"
		}
		return usage("%s has no command %q%s", cmd.CommandPath(), args[0], hint)
	}
}

func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short}
	asGroup(c)
	c.AddCommand(commands...)
	return c
}

// checkArguments gives a wrong number of arguments the exit code of a wrong usage.
func checkArguments(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil && ExitCode(err) != ExitUsage {
				return usage("%w; see %s --help", err, cmd.CommandPath())
			} else if err != nil {
				return err
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		checkArguments(sub)
	}
}

// complete has the shell offer these words for a flag.
func complete(c *cobra.Command, flag string, words ...string) {
	if err := c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic("complete --" + flag + ": " + err.Error()) // a flag that the line above has not defined
	}
}
