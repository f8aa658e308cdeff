package dist

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// World is what a launcher tells a process about its place among the others.
type World struct {
	Rank, Size int
	// LocalRank and LocalSize count the ranks on this machine; LocalSize is 1
	// where the launcher does not say.
	LocalRank, LocalSize int
	Addr                 string // HOST:PORT where rank 0 listens
	Token                string // equal for the ranks of one launch, where the launcher gives one
	Source               string // the variable that Rank came from
}

// Variables of our own, beside those of the launchers.
const (
	PortVar  = "QLORA_MASTER_PORT" // wins over MASTER_PORT
	TokenVar = "QLORA_RUN_TOKEN"
)

// defaultPort is torchrun's.
const defaultPort = 29500

// family is the variables of one kind of launcher.
type family struct{ rank, size, localRank, localSize string }

// families lists the launchers, the more specific first: mpirun within a Slurm
// job finds both kinds set, and its own are right.
var families = []family{
	{"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"},
	{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"},
	{"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"},
	{"SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", ""},
}

// FromEnv reads the place of this process, nil when no launcher gave it one or
// it is the only rank. Errors name the variable that is missing or wrong.
func FromEnv(getenv func(key string) (string, bool)) (*World, error) {
	e := env(getenv)
	for _, f := range families {
		rank, size := e.get(f.rank), e.get(f.size)
		switch {
		case f.rank == "RANK" && (rank == "") != (size == ""):
			return nil, fmt.Errorf("of RANK=%q and WORLD_SIZE=%q one is missing: a launcher sets both", rank, size)
		case rank == "" || size == "" || f.rank == "SLURM_PROCID" && e.inBatchScript():
			continue
		}
		w, err := e.world(f)
		if err != nil || w.Size == 1 {
			return nil, err
		}
		return w, nil
	}
	return nil, nil
}

type env func(key string) (string, bool)

func (e env) get(key string) string {
	value, _ := e(key)
	return value
}

// inBatchScript tells the script of a Slurm job, which finds the job's number
// of tasks set but is not one of them, from a process that srun started.
func (e env) inBatchScript() bool {
	return e.get("SLURM_JOB_ID") != "" && e.get("SLURM_STEP_NUM_TASKS") == ""
}

func (e env) world(f family) (*World, error) {
	w := &World{Source: f.rank, Token: e.token()}
	var err error
	if w.Size, err = e.number(f.size, 1, 1<<16); err != nil {
		return nil, err
	}
	if w.Rank, err = e.number(f.rank, 0, w.Size-1); err != nil || w.Size == 1 {
		return w, err
	}
	if w.LocalSize, err = e.localSize(f, w.Size); err != nil {
		return nil, err
	}
	if w.Addr, err = e.address(w); err != nil {
		return nil, err
	}
	w.LocalRank, err = e.localRank(f, w)
	return w, err
}

// number reads a whole number from lowest to highest.
func (e env) number(key string, lowest, highest int) (int, error) {
	n, err := strconv.Atoi(e.get(key))
	if err != nil || n < lowest || n > highest {
		return 0, fmt.Errorf("environment variable %s=%q: it must be a whole number from %d to %d", key, e.get(key), lowest, highest)
	}
	return n, nil
}

// localSize is the ranks on this machine, 0 where nothing says.
func (e env) localSize(f family, size int) (int, error) {
	switch {
	case f.localSize != "" && e.get(f.localSize) != "":
		return e.number(f.localSize, 1, size)
	case f.rank == "SLURM_PROCID" && e.get("SLURM_NNODES") == "1":
		return size, nil
	}
	return 0, nil
}

// address is where rank 0 listens. Where all ranks are on this machine it needs
// no MASTER_ADDR.
func (e env) address(w *World) (string, error) {
	host := e.get("MASTER_ADDR")
	if host == "" {
		if w.LocalSize != w.Size {
			return "", fmt.Errorf("environment variable MASTER_ADDR is not set: the host of rank 0, for %d ranks of which not all are known to be here", w.Size)
		}
		host = "127.0.0.1"
	}
	if w.LocalSize == 0 {
		w.LocalSize = 1
		if loopback(host) {
			w.LocalSize = w.Size
		}
	}
	port, err := e.port()
	return net.JoinHostPort(host, strconv.Itoa(port)), err
}

// port is where rank 0 listens. Newer torchrun serves its own workers at
// MASTER_PORT, and says so; the next port is ours then.
func (e env) port() (int, error) {
	switch {
	case e.get(PortVar) != "":
		return e.number(PortVar, 1, 65535)
	case e.get("MASTER_PORT") == "":
		return defaultPort, nil
	case strings.EqualFold(e.get("TORCHELASTIC_USE_AGENT_STORE"), "true"):
		port, err := e.number("MASTER_PORT", 1, 65534)
		return port + 1, err
	}
	return e.number("MASTER_PORT", 1, 65535)
}

// localRank is the place on this machine, from whichever launcher says.
func (e env) localRank(f family, w *World) (int, error) {
	keys := []string{f.localRank}
	for _, other := range families {
		keys = append(keys, other.localRank)
	}
	for _, key := range keys {
		if e.get(key) != "" {
			return e.number(key, 0, w.Size-1)
		}
	}
	if w.LocalSize == w.Size {
		return w.Rank, nil
	}
	return 0, fmt.Errorf("environment variable %s is not set: it says which device of its machine rank %d uses", f.localRank, w.Rank)
}

// token tells the runs apart that meet at one port.
func (e env) token() string {
	for _, key := range []string{TokenVar, "TORCHELASTIC_RUN_ID", "SLURM_JOB_ID"} {
		if v := e.get(key); v != "" {
			return v
		}
	}
	return ""
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
