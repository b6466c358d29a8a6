//go:build bench

package bench_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// count puts a counter before the database and returns the way through it.
func count(t *testing.T, direct string) (*counter, string) {
	t.Helper()
	u, err := url.Parse(direct)
	require.NoError(t, err)
	server := u.Host
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	c := &counter{}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go c.serve(client, server)
		}
	}()
	u.Host = listener.Addr().String()
	return c, u.String()
}

// serve passes on what both say. A statement is an Execute of the extended protocol, or a simple Query.
func (c *counter) serve(client net.Conn, server string) {
	defer client.Close()
	backend, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer backend.Close()
	go func() { _, _ = io.Copy(client, backend) }()
	in, out := bufio.NewReaderSize(client, 1<<16), bufio.NewWriterSize(backend, 1<<16)
	head := make([]byte, 5)
	if _, err := io.ReadFull(in, head[:4]); err != nil { // the start-up message has no kind
		return
	}
	_, _ = out.Write(head[:4])
	if _, err := io.CopyN(out, in, int64(binary.BigEndian.Uint32(head[:4]))-4); err != nil || out.Flush() != nil {
		return
	}
	for {
		if _, err := io.ReadFull(in, head); err != nil {
			return
		}
		if head[0] == 'E' || head[0] == 'Q' {
			c.mu.Lock()
			c.n++
			c.mu.Unlock()
		}
		_, _ = out.Write(head)
		if _, err := io.CopyN(out, in, int64(binary.BigEndian.Uint32(head[1:]))-4); err != nil {
			return
		}
		if in.Buffered() == 0 && out.Flush() != nil {
			return
		}
	}
}
