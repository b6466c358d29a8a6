package devstack

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
	"time"
)

const loopback = "127.0.0.1"

// PortTakenError says that a fixed port asked for is in use by another program.
type PortTakenError struct {
	Name string // who wants it: "Postgres", "Temporal", "Temporal UI"
	Port int
}

func (e *PortTakenError) Error() string {
	return fmt.Sprintf("port %d (%s) is taken; stop the program that listens on it or choose another port", e.Port, e.Name)
}

// FreePort returns a port that nothing listens on at this moment. Another
// program may take it before it is used: whoever starts a server on it must be
// ready to try again.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}

// CheckPort reports a taken port as a [PortTakenError]; 0 is always free.
func CheckPort(name string, port int) error {
	if port == 0 {
		return nil
	}
	return checkPort(name, port)
}

// choosePort gives back the port asked for if it is free, or any free one for 0.
func choosePort(name string, want int) (int, error) {
	if want == 0 {
		return FreePort()
	}
	return want, checkPort(name, want)
}

// checkPort gives a taken port a second. Sockets are inherited over a fork: a
// child just made, of a server that was killed or of our own before it becomes
// another program, may hold one for a moment.
func checkPort(name string, port int) error {
	for deadline := time.Now().Add(time.Second); ; time.Sleep(50 * time.Millisecond) {
		l, err := net.Listen("tcp", address(port))
		switch {
		case err == nil:
			return l.Close()
		case !errors.Is(err, syscall.EADDRINUSE):
			return fmt.Errorf("port %d (%s): %w", port, name, err)
		case time.Now().After(deadline):
			return &PortTakenError{Name: name, Port: port}
		}
	}
}

func address(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }
