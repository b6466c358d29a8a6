package devstack

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
)

// canSignalOnDeath: the kernel ends our children when we are killed.
const canSignalOnDeath = true

func childAttr(death syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: death}
}

// commandLine returns the command line of a live process, "" if there is none.
func commandLine(pid int) string {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return string(bytes.ReplaceAll(data, []byte{0}, []byte{' '}))
}
