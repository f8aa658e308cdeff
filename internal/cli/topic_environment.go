package cli

import (
	"fmt"
	"strings"

	"github.com/qlora/qlora/internal/config"
)

// envVar is a variable, or several that belong together, as help prints it.
type envVar struct {
	names []string
	text  string
	// elsewhere marks those that a library reads, whose names our sources lack.
	elsewhere bool
}

// environment lists the variables by what they are about.
var environment = []struct {
	heading string
	vars    []envVar
}{
	{"Output", []envVar{
		{names: []string{"NO_COLOR"}, text: "any value: no colour, as --no-color"},
		{names: []string{"TERM"}, text: "dumb: no colour and no escape sequences at all"},
		{names: []string{"PAGER"}, text: "shows long output on a terminal; default: less, where it is installed; cat: none"},
		{names: []string{"LESS"}, text: "options of less; FRX unless set"},
	}},
	{"Hub, for qlora pull", []envVar{
		{names: []string{"HF_TOKEN"}, text: "token for private and gated repositories; sent to the hub alone"},
		{names: []string{"HF_ENDPOINT"}, text: "address of the hub, as --endpoint"},
		{names: []string{"HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"}, text: "proxy to reach it through, and hosts without one", elsewhere: true},
		{names: []string{"SSL_CERT_FILE", "SSL_CERT_DIR"}, text: "certificates to trust instead of the system's", elsewhere: true},
	}},
	{"What listens: qlora monitor and qlora serve", []envVar{
		{names: []string{"QLORA_API_KEY"}, text: "the key that clients must give, as --api-key-file"},
	}},
	{"Devices", []envVar{
		{names: []string{"QLORA_LIBRARY_PATH"}, text: "libqlora-cuda.so or its folder; default: beside the binary, lib/qlora there, ../lib/qlora"},
		{names: []string{"CUDA_VISIBLE_DEVICES"}, text: "the GPUs to see; cuda:0 is the first of them", elsewhere: true},
		{names: []string{"NCCL_LIBRARY"}, text: "the NCCL library, instead of libnccl.so.2"},
		{names: []string{"QLORA_CUDA_PROFILE"}, text: "file in which the CUDA library counts the time of its operations"},
	}},
	{"Memory", []envVar{
		{names: []string{"GOMEMLIMIT"}, text: "memory that the Go part tries to stay below; set, it wins over the limits of prep"},
	}},
	{"Several ranks, for qlora train (docs/ranks.md)", []envVar{
		{names: []string{"RANK", "WORLD_SIZE"}, text: "number of this process, from 0, and how many there are"},
		{names: []string{"LOCAL_RANK", "LOCAL_WORLD_SIZE"}, text: "the same on this machine"},
		{names: []string{"MASTER_ADDR", "MASTER_PORT"}, text: "host and port of rank 0; default: this machine, 29500"},
		{names: []string{"QLORA_MASTER_PORT"}, text: "port that wins over MASTER_PORT"},
		{names: []string{"QLORA_JOIN_SECONDS"}, text: "how long to wait for all ranks; default 120"},
		{names: []string{"QLORA_RUN_TOKEN"}, text: "ranks with another one are sent away"},
		{names: []string{"QLORA_LISTENER_FD"}, text: "set by train --devices for rank 0: the open port"},
		{names: []string{"TORCHELASTIC_RUN_ID", "TORCHELASTIC_USE_AGENT_STORE"}, text: "torchrun's: the token where there is no other, and whether MASTER_PORT is taken"},
		{names: []string{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"}, text: "Open MPI's, where RANK is not set"},
		{names: []string{"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"}, text: "those of MPICH and Intel MPI"},
		{names: []string{"SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "SLURM_NNODES", "SLURM_JOB_ID", "SLURM_STEP_NUM_TASKS"}, text: "Slurm's"},
	}},
	{"Folders", []envVar{
		{names: []string{"HOME"}, text: "where ~ is", elsewhere: true},
		{names: []string{"XDG_CACHE_HOME", "XDG_CONFIG_HOME"}, text: "qlora's own files, where there are any; default: ~/.cache and ~/.config"},
		{names: []string{"TMPDIR"}, text: "temporary files; default /tmp", elsewhere: true},
	}},
}

// environmentText is the topic environment.
func environmentText() string {
	var b strings.Builder
	b.WriteString(`Variables that qlora reads. Those in a file .env in the current folder, one
KEY=value a line, are read at start; the environment wins over the file.
`)
	for _, group := range environment {
		fmt.Fprintf(&b, "\n%s:\n", group.heading)
		for _, v := range group.vars {
			writeEntry(&b, strings.Join(v.names, ", "), v.text)
		}
	}
	b.WriteString(`
Settings of qlora train: each flag has a variable. The file given with --config
wins over the defaults, a variable over the file, a flag over the variable.
Lists are joined by commas.
`)
	b.WriteString(wrap("  ", strings.Join(trainVars(), " ")))
	return b.String()
}

func trainVars() []string {
	var names []string
	for _, key := range config.RunKeys() {
		names = append(names, config.EnvName(key))
	}
	return names
}

// writeEntry prints a name and below it, further in, what it is.
func writeEntry(b *strings.Builder, name, text string) {
	b.WriteString(wrap("  ", name))
	b.WriteString(wrap("      ", text))
}

// wrap breaks text at spaces into lines of at most 80 columns that begin with
// indent.
func wrap(indent, text string) string {
	var b strings.Builder
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(indent)+len(line)+1+len(word) > 80 {
			b.WriteString(indent + line + "\n")
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	b.WriteString(indent + line + "\n")
	return b.String()
}
