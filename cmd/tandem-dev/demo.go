package main

import "github.com/spf13/cobra"

func demoCommand(*flags) *cobra.Command { return &cobra.Command{Use: "demo"} }
