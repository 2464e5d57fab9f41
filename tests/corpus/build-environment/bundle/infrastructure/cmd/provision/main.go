package main

func main() {
	// reads proton-inputs.json
}
