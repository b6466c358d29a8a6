//go:build !chaos

package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func run(m *testing.M) (code int, err error) {
	bin, err := os.MkdirTemp("", "tandem-e2e-bin-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(bin)
	program = filepath.Join(bin, "tandem-dev")
	build := exec.Command("go", "build", "-o", program, "../cmd/tandem-dev")
	if out, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("build tandem-dev: %w\n%s", err, out)
	}
	if calm, err = startStack(stackOptions{ephemeral: true}); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, end("calm", calm, code != 0)) }()
	return m.Run(), nil
}
