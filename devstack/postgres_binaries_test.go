package devstack

import (
	"archive/zip"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakeServer makes a folder whose postgres says it is of a version.
func fakeServer(t *testing.T, dir, version string) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o755))
	for name, script := range map[string]string{
		"postgres": "#!/bin/sh\necho 'postgres (PostgreSQL) " + version + "'\n",
		"initdb":   "#!/bin/sh\nexit 1\n",
		"pg_ctl":   "#!/bin/sh\nexit 1\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755))
	}
	return dir
}

func TestBestOf(t *testing.T) {
	t.Parallel()
	root := openDir(t)
	dirs := []string{
		filepath.Join(root, "missing"),
		fakeServer(t, filepath.Join(root, "12"), "12.22"),
		fakeServer(t, filepath.Join(root, "14"), "14.18 (Debian 14.18-1)"),
		fakeServer(t, filepath.Join(root, "17"), "17beta1"),
	}
	clientOnly := fakeServer(t, filepath.Join(root, "18"), "18.1")
	require.NoError(t, os.Remove(filepath.Join(clientOnly, "initdb")))
	dirs = append(dirs, clientOnly)

	newest, ok := bestOf(t.Context(), dirs, nil, 0)
	require.True(t, ok)
	require.Equal(t, binaries{dir: dirs[3], major: 17}, newest)
	same, ok := bestOf(t.Context(), dirs, nil, 14)
	require.True(t, ok)
	require.Equal(t, 14, same.major, "data of 14 needs 14")
	_, ok = bestOf(t.Context(), dirs, nil, 16)
	require.False(t, ok)
	_, ok = bestOf(t.Context(), dirs[:2], nil, 0)
	require.False(t, ok, "12 is too old")
}

func TestFetchPostgres(t *testing.T) {
	t.Parallel()
	t.Run("unpacks what the mirror has", func(t *testing.T) {
		t.Parallel()
		work := t.TempDir()
		tree := filepath.Join(work, "tree")
		fakeServer(t, filepath.Join(tree, "bin"), "17.5")
		archive := filepath.Join(work, "postgres.txz")
		if out, err := exec.Command("tar", "-C", tree, "-cJf", archive, "bin").CombinedOutput(); err != nil {
			t.Skipf("no tar with xz here: %s", out)
		}
		mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasSuffix(r.URL.Path, ".jar") {
				http.NotFound(w, r)
				return
			}
			jar := zip.NewWriter(w)
			entry, _ := jar.Create("postgres.txz")
			data, _ := os.ReadFile(archive)
			_, _ = entry.Write(data)
			_ = jar.Close()
		}))
		defer mirror.Close()
		dir := filepath.Join(work, "postgres-17")
		require.NoError(t, fetchPostgres(t.Context(), dir, mirror.URL))
		require.FileExists(t, filepath.Join(dir, "bin", "initdb"))
		http.DefaultClient.CloseIdleConnections()
	})
	t.Run("says what went wrong", func(t *testing.T) {
		t.Parallel()
		mirror := httptest.NewServer(http.NotFoundHandler())
		defer mirror.Close()
		err := fetchPostgres(t.Context(), filepath.Join(t.TempDir(), "x"), mirror.URL)
		require.ErrorContains(t, err, "no version found")
		http.DefaultClient.CloseIdleConnections()
	})
}
