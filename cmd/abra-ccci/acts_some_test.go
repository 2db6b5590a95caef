//go:build !acts

package main

// everyAct is whether TestSeed plays all four acts: make acts does.
const everyAct = false
