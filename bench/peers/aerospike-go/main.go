// Writes records 1 to n with the official Go client, in the two ways a Go program does it:
//
//	pool   60 goroutines behind a channel of 100 records, one put each
//	batch  4 goroutines behind a channel, BatchOperate of 1,000 records each
//
// Run as `aerospike <pool|batch> <host:port> <namespace> <set> <n>`; prints the seconds from the first record to the last answer,
// without connecting, its CPU seconds in that time, and the peak of its resident memory in MB.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	as "github.com/aerospike/aerospike-client-go/v8"
)

const (
	goroutines = 60
	queued     = 100
	batchSize  = 1000
	batches    = 4
)

// The same words as ../../aerospike-records.js.
var words = []string{"new", "fraud", "regular", "dormant", "gold", "silver", "trial", "moved", "blocked", "staff"}

type target struct {
	client         *as.Client
	namespace, set string
}

func (t target) key(id int) *as.Key {
	key, err := as.NewKey(t.namespace, t.set, id)
	check(err)
	return key
}

func bin(id int) *as.Bin {
	return as.NewBin("categories", []string{words[id%10], words[id/10%10], words[id/100%10]})
}

func main() {
	if len(os.Args) != 6 {
		log.Fatal("usage: aerospike <pool|batch> <host:port> <namespace> <set> <n>")
	}
	host, port, _ := strings.Cut(os.Args[2], ":")
	portNumber, err := strconv.Atoi(port)
	checkPlain(err)
	count, err := strconv.Atoi(os.Args[5])
	checkPlain(err)
	policy := as.NewClientPolicy()
	policy.ConnectionQueueSize = 128
	client, failure := as.NewClientWithPolicy(policy, host, portNumber)
	check(failure)
	defer client.Close()
	t := target{client, os.Args[3], os.Args[4]}

	started, cpu := time.Now(), cpuSeconds()
	switch os.Args[1] {
	case "pool":
		pool(t, count)
	case "batch":
		batch(t, count)
	default:
		log.Fatalf("no way %q", os.Args[1])
	}
	figures := map[string]float64{
		"seconds": time.Since(started).Seconds(),
		"cpu":     cpuSeconds() - cpu,
		"peak":    peakMegabytes(),
	}
	checkPlain(json.NewEncoder(os.Stdout).Encode(figures))
}

func pool(t target, count int) {
	policy := as.NewWritePolicy(0, 0)
	ids := make(chan int, queued)
	var done sync.WaitGroup
	for range goroutines {
		done.Add(1)
		go func() {
			defer done.Done()
			for id := range ids {
				check(t.client.PutBins(policy, t.key(id), bin(id)))
			}
		}()
	}
	for id := 1; id <= count; id++ {
		ids <- id
	}
	close(ids)
	done.Wait()
}

func batch(t target, count int) {
	policy := as.NewBatchPolicy()
	writePolicy := as.NewBatchWritePolicy()
	firsts := make(chan int)
	var done sync.WaitGroup
	for range batches {
		done.Add(1)
		go func() {
			defer done.Done()
			for first := range firsts {
				records := make([]as.BatchRecordIfc, 0, batchSize)
				for id := first; id < first+batchSize && id <= count; id++ {
					records = append(records, as.NewBatchWrite(writePolicy, t.key(id), as.PutOp(bin(id))))
				}
				check(t.client.BatchOperate(policy, records))
				for _, record := range records {
					check(record.BatchRec().Err)
				}
			}
		}()
	}
	for first := 1; first <= count; first += batchSize {
		firsts <- first
	}
	close(firsts)
	done.Wait()
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	checkPlain(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	seconds := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return seconds(usage.Utime) + seconds(usage.Stime)
}

func peakMegabytes() float64 {
	status, err := os.ReadFile("/proc/self/status")
	checkPlain(err)
	for _, line := range strings.Split(string(status), "\n") {
		var kilobytes float64
		if n, _ := fmt.Sscanf(line, "VmHWM: %f kB", &kilobytes); n == 1 {
			return kilobytes / 1024
		}
	}
	return 0
}

func check(err as.Error) {
	if err != nil {
		log.Fatal(err)
	}
}

func checkPlain(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
