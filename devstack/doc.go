// Package devstack starts what Tandem stands on, Postgres and a Temporal
// server, on this machine, for development, demonstrations and tests.
// It imports nothing of ours and is no part of the tandem binary.
//
//	caller ──┬── postgres   own data folder, or a temporary one
//	         └── temporal   the official CLI's development server
//
// Rules both follow:
//
//   - They listen on 127.0.0.1 only.
//   - They are direct children in a process group of their own: Ctrl-C in a
//     terminal reaches the caller alone, which then stops them in its order.
//   - On Linux the kernel ends them when the caller is killed. Elsewhere, and
//     should one survive all the same, the next start on the same data stops it.
//   - A data folder belongs to one caller at a time, see [InUseError].
//   - A start that fails or whose context ends leaves no process behind.
package devstack
