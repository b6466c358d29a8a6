//go:build !chaos

package chaos

// Point does nothing in this build.
func Point(string) {}

// PointOf does nothing in this build.
func PointOf(_, _ string) {}
