package dist

import (
	"reflect"
	"strings"
	"testing"
)

func TestFromEnv(t *testing.T) {
	for name, c := range map[string]struct {
		env  []string
		want *World
	}{
		"none":     {nil, nil},
		"one rank": {[]string{"RANK", "0", "WORLD_SIZE", "1"}, nil},
		"torchrun": {[]string{"RANK", "3", "WORLD_SIZE", "4", "LOCAL_RANK", "1", "LOCAL_WORLD_SIZE", "2", "MASTER_ADDR", "head", "MASTER_PORT", "29501", "TORCHELASTIC_RUN_ID", "job"},
			&World{3, 4, 1, 2, "head:29501", "job", "RANK"}},
		"torchrun's own store": {[]string{"RANK", "1", "WORLD_SIZE", "2", "LOCAL_RANK", "1", "LOCAL_WORLD_SIZE", "2", "MASTER_ADDR", "localhost", "MASTER_PORT", "29501", "TORCHELASTIC_USE_AGENT_STORE", "True"},
			&World{1, 2, 1, 2, "localhost:29502", "", "RANK"}},
		"by hand": {[]string{"RANK", "1", "WORLD_SIZE", "2", "MASTER_ADDR", "127.0.0.1", "QLORA_MASTER_PORT", "77", "MASTER_PORT", "88", "QLORA_RUN_TOKEN", "x"},
			&World{1, 2, 1, 2, "127.0.0.1:77", "x", "RANK"}},
		"mpirun within slurm": {[]string{"OMPI_COMM_WORLD_RANK", "1", "OMPI_COMM_WORLD_SIZE", "2", "OMPI_COMM_WORLD_LOCAL_RANK", "1", "OMPI_COMM_WORLD_LOCAL_SIZE", "2", "SLURM_PROCID", "0", "SLURM_NTASKS", "2"},
			&World{1, 2, 1, 2, "127.0.0.1:29500", "", "OMPI_COMM_WORLD_RANK"}},
		"mpich": {[]string{"PMI_RANK", "2", "PMI_SIZE", "4", "MPI_LOCALRANKID", "0", "MPI_LOCALNRANKS", "2", "MASTER_ADDR", "fe80::1"},
			&World{2, 4, 0, 2, "[fe80::1]:29500", "", "PMI_RANK"}},
		"srun": {[]string{"SLURM_PROCID", "5", "SLURM_NTASKS", "8", "SLURM_LOCALID", "1", "SLURM_JOB_ID", "42", "SLURM_STEP_NUM_TASKS", "8", "MASTER_ADDR", "n1"},
			&World{5, 8, 1, 1, "n1:29500", "42", "SLURM_PROCID"}},
		"srun on one node":   {[]string{"SLURM_PROCID", "1", "SLURM_NTASKS", "2", "SLURM_LOCALID", "1", "SLURM_NNODES", "1"}, &World{1, 2, 1, 2, "127.0.0.1:29500", "", "SLURM_PROCID"}},
		"the batch script":   {[]string{"SLURM_PROCID", "0", "SLURM_NTASKS", "8", "SLURM_LOCALID", "0", "SLURM_JOB_ID", "42"}, nil},
		"an interactive job": {[]string{"SLURM_NTASKS", "8", "SLURM_JOB_ID", "42"}, nil},
	} {
		got, err := FromEnv(environment(c.env...))
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, c.want)
		}
	}
}

func TestFromEnvNamesTheVariable(t *testing.T) {
	for _, c := range []struct {
		want string
		env  []string
	}{
		{"WORLD_SIZE", []string{"RANK", "1"}},
		{"RANK", []string{"WORLD_SIZE", "2"}},
		{`RANK="2"`, []string{"RANK", "2", "WORLD_SIZE", "2", "MASTER_ADDR", "h"}},
		{`WORLD_SIZE="two"`, []string{"RANK", "0", "WORLD_SIZE", "two"}},
		{"MASTER_ADDR", []string{"RANK", "0", "WORLD_SIZE", "2", "LOCAL_RANK", "0"}},
		{`MASTER_PORT="http"`, []string{"RANK", "0", "WORLD_SIZE", "2", "LOCAL_RANK", "0", "MASTER_ADDR", "h", "MASTER_PORT", "http"}},
		{"LOCAL_RANK", []string{"RANK", "0", "WORLD_SIZE", "2", "MASTER_ADDR", "h"}},
		{`LOCAL_RANK="-1"`, []string{"RANK", "0", "WORLD_SIZE", "2", "MASTER_ADDR", "h", "LOCAL_RANK", "-1"}},
		{"SLURM_NTASKS", []string{"SLURM_PROCID", "0", "SLURM_NTASKS", "0"}},
	} {
		w, err := FromEnv(environment(c.env...))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %+v, %v; want an error that names %s", c.env, w, err, c.want)
		}
	}
}
