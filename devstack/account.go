package devstack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// account is the unprivileged user a server runs as when we are root, which
// Postgres refuses to be. A nil account means: run as ourselves.
type account struct {
	name     string
	uid, gid uint32
}

func serverAccount() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil && uid != 0 {
			return &account{name: name, uid: uint32(uid), gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("postgres refuses to run as root and there is no user postgres or nobody to run it as")
}

// canEnter says whether the account may use files below dir. Mode bits do not
// tell the whole truth (ACLs, mounts), so a harmless child tries it.
func (a *account) canEnter(ctx context.Context, dir, probe string) bool {
	c := command{path: probe, args: []string{"--version"}, dir: dir, user: a}
	return ctx.Err() == nil && c.run(ctx) == nil // a short probe may end before its cancellation is noticed
}

// own hands a folder and all in it to the account.
func (a *account) own(dir string) error {
	if a == nil {
		return nil
	}
	if info, err := os.Lstat(dir); err == nil && info.Sys().(*syscall.Stat_t).Uid == a.uid {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(a.uid), int(a.gid))
	})
}

// place returns the folder below which the server keeps its data: home itself
// or, when the account cannot get there (a checkout below /root, a private
// temporary folder), a folder elsewhere, to which home/data then links. Without
// the link, as after `rm -rf` of home, the data counts as gone too.
func (a *account) place(ctx context.Context, home, probe string) (string, error) {
	link := filepath.Join(home, dataName)
	if target, err := os.Readlink(link); err == nil {
		if _, err := os.Stat(filepath.Dir(target)); err == nil {
			return filepath.Dir(target), nil
		}
		if err := os.Remove(link); err != nil {
			return "", err
		}
	}
	if a == nil || a.canEnter(ctx, home, probe) {
		return home, nil
	}
	// Perhaps only the last door is shut. Home is the server's own folder, and
	// what is inside has tighter modes: nothing becomes readable by this.
	if os.Chmod(home, 0o711) == nil && a.canEnter(ctx, home, probe) {
		return home, nil
	}
	for _, base := range []string{"/var/lib/tandem", "/var/tmp", "/tmp"} {
		if os.MkdirAll(base, 0o755) != nil || !a.canEnter(ctx, base, probe) {
			continue
		}
		sweep(filepath.Join(base, awayPrefix+"*"), isForsaken)
		away, err := makeAway(base, link)
		if err == nil {
			return away, nil
		}
	}
	if err := ctx.Err(); err != nil { // no door was tried to the end
		return "", fmt.Errorf("find a folder for Postgres: %w", err)
	}
	return "", fmt.Errorf("user %s, as whom postgres must run, cannot enter %s; choose a data folder that every user may enter", a.name, home)
}

const (
	awayPrefix = "tandem-away-"
	homePrefix = "tandem-postgres-"
)

func makeAway(base, link string) (string, error) {
	away, err := os.MkdirTemp(base, awayPrefix)
	if err != nil {
		return "", err
	}
	err = errors.Join(
		os.Chmod(away, 0o755),
		os.WriteFile(filepath.Join(away, "origin"), []byte(link), 0o600),
		os.Symlink(filepath.Join(away, dataName), link))
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(away))
	}
	return away, nil
}

// isForsaken: the link that led to this folder is gone or leads elsewhere.
func isForsaken(away string) bool {
	origin, err := os.ReadFile(filepath.Join(away, "origin"))
	if err != nil {
		return false
	}
	target, _ := os.Readlink(string(origin))
	return filepath.Dir(target) != away
}

// isAbandoned: a temporary folder whose owner was killed before it could clean up.
func isAbandoned(home string) bool {
	path := filepath.Join(home, lockName)
	if _, err := os.Stat(path); err != nil {
		return false
	}
	l, err := tryLock(path, home)
	if err != nil {
		return false
	}
	l.release()
	return true
}

// sweep removes folders of ours that match and are of no use any more. Young
// ones are left alone: they may be in the middle of being made.
func sweep(pattern string, useless func(string) bool) {
	dirs, _ := filepath.Glob(pattern)
	for _, dir := range dirs {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() || time.Since(info.ModTime()) < time.Minute {
			continue
		}
		if int(info.Sys().(*syscall.Stat_t).Uid) != os.Geteuid() || !useless(dir) {
			continue
		}
		if pid := readPID(filepath.Join(dir, dataName, pidName)); pid > 0 && commandLine(pid) != "" {
			continue // perhaps still shutting down; the next sweep gets it
		}
		_ = os.RemoveAll(dir)
	}
}
