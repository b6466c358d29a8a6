package cli

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

// app is what all commands share: the flags of the one that runs.
type app struct {
	Options
	url    string
	output string
}

// call is one command being carried out.
type call struct {
	*client
	app    *app
	ctx    context.Context //nolint:containedctx // lives as long as the command
	args   []string
	out    io.Writer
	errOut io.Writer
}

// command is one that talks to the API. Its faults of usage are found before anything is asked.
func (a *app) command(use, short string, args cobra.PositionalArgs, run func(*call) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: args, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.output != outputTable && a.output != outputJSON {
				return usage("-o must be %s or %s, not %q", outputTable, outputJSON, a.output)
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			return run(&call{client: c, app: a, ctx: cmd.Context(), args: args, out: cmd.OutOrStdout(), errOut: cmd.ErrOrStderr()})
		},
	}
}

func (a *app) client() (*client, error) {
	at := a.url
	if at == "" {
		at = a.Getenv(EnvURL)
	}
	if at == "" {
		at = defaultURL
	}
	base, err := url.Parse(at)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.User != nil || base.RawQuery != "" {
		return nil, usage("the address of the API must look like %s; see --url and %s", defaultURL, EnvURL) // may hold a password: not shown
	}
	key := strings.TrimSpace(a.Getenv(EnvKey)) // a file that it came from may end with a line break
	if key == "" {
		return nil, usage("set %s to an API key", EnvKey)
	}
	return newClient(base, key), nil
}

func (c *call) json() bool { return c.app.output == outputJSON }

// provider is the one that was named, else the only one there is.
func (c *call) provider(named string) (string, error) {
	if named != "" {
		return named, nil
	}
	var list struct{ Items []provider }
	if _, err := c.get(c.ctx, pathProviders, nil, &list); err != nil {
		return "", err
	}
	if len(list.Items) != 1 {
		return "", usage("there are %d providers: name one with --provider", len(list.Items))
	}
	return list.Items[0].Name, nil
}

// hint says what can be done next, to people alone.
func (c *call) hint(format string, args ...any) {
	if !c.json() {
		_, _ = fmt.Fprintf(c.errOut, format+"\n", args...)
	}
}
