// The workloads of `compare` on Go: `peer WORKLOAD SIZE MILLIS` prints the figure, or where it listens.
//
// What each figure includes stands in the heads of the Rust files; this one does the same. GOMAXPROCS says on how many
// cores.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

var target time.Duration

func main() {
	if os.Args[1] == "version" {
		fmt.Println(strings.TrimPrefix(runtime.Version(), "go"))
		return
	}
	size, err := strconv.Atoi(os.Args[2])
	check(err)
	millis, err := strconv.Atoi(os.Args[3])
	check(err)
	target = time.Duration(millis) * time.Millisecond
	switch os.Args[1] {
	case "yield":
		report(cost(2, func(rounds int) time.Duration { return ring(2, at(size), rounds) }))
	case "ring":
		report(cost(size, func(rounds int) time.Duration { return ring(size, runtime.Gosched, rounds) }))
	case "pending":
		others := pend(size)
		report(cost(2, func(rounds int) time.Duration { return ring(2, runtime.Gosched, rounds) }))
		runtime.KeepAlive(others)
	case "spawn":
		report(cost(size, func(batches int) time.Duration { return spawn(size, batches) }))
	case "ping-pong":
		report(cost(2, pingPong))
	case "channel":
		report(cost(messages, func(batches int) time.Duration { return stream(size, batches) }))
	case "sleepers":
		report(cost(size, func(rounds int) time.Duration { return sleepers(size, rounds) }))
	case "sleepers-cpu":
		report(sleepersCPU(size))
	case "timeout":
		others := pend(size)
		report(cost(1, timeouts))
		runtime.KeepAlive(others)
	case "timeout-yield":
		report(cost(2, func(rounds int) time.Duration { return ring(2, limited, rounds) }))
	case "memory":
		fmt.Println(memory(size), "bytes")
	case "pool":
		report(pool(size))
	case "pool-map":
		report(poolMap(size))
	case "pool-imap_unordered":
		report(poolUnordered(size))
	case "kill":
		report(kill(size))
	case "echo":
		echo()
	case "http":
		hello()
	default:
		fmt.Fprintln(os.Stderr, "there is no such workload here")
		os.Exit(1)
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func report(nanoseconds float64) {
	fmt.Println(nanoseconds, "ns")
}

func each(took time.Duration, pieces int) float64 {
	return float64(took.Nanoseconds()) / float64(pieces)
}

// cost is what `cost` in measure.rs is.
func cost(batch int, run func(batches int) time.Duration) float64 {
	batches := 1
	took := run(batches)
	for took*4 < target {
		missing := float64(target) / 3 / float64(max(took, 1))
		batches = int(float64(batches) * min(16, maxf(2, missing)))
		took = run(batches)
	}
	batches = int(maxf(1, float64(batches)*float64(target)/float64(took)))
	return each(run(batches), batches*batch)
}

func max(a, b time.Duration) time.Duration {
	if a > b {
		return a
	}
	return b
}

func min(a, b float64) float64 {
	if a < b {
		return a
	}
	return b
}

func maxf(a, b float64) float64 {
	if a > b {
		return a
	}
	return b
}

var sink uint64

//go:noinline
func descend(depth int, seed uint64) uint64 {
	before := seed * 0x9E3779B97F4A7C15
	before = before<<23 | before>>41
	below := before
	if depth == 1 {
		runtime.Gosched()
	} else {
		below = descend(depth-1, before)
	}
	below ^= seed
	return below<<7 | below>>57
}

// at is a yield so many calls deep.
func at(depth int) func() {
	if depth == 0 {
		return runtime.Gosched
	}
	return func() { atomic.StoreUint64(&sink, descend(depth, 1)) }
}

// limited is a yield with a limit around it.
func limited() {
	limit := time.NewTimer(10 * time.Second)
	runtime.Gosched()
	limit.Stop()
}

func ring(size int, piece func(), rounds int) time.Duration {
	var ended, ready sync.WaitGroup
	gate := make(chan struct{})
	ended.Add(size)
	ready.Add(size)
	for i := 0; i < size; i++ {
		go func() {
			ready.Done()
			<-gate
			for round := 0; round < rounds; round++ {
				piece()
			}
			ended.Done()
		}()
	}
	ready.Wait()
	start := time.Now()
	close(gate)
	ended.Wait()
	return time.Since(start)
}

// pend starts timers that are spread over an hour that is an hour away.
func pend(count int) []*time.Timer {
	timers := make([]*time.Timer, count)
	for i := range timers {
		timers[i] = time.NewTimer(time.Hour + time.Hour/time.Duration(count)*time.Duration(i))
	}
	return timers
}

func spawn(by, batches int) time.Duration {
	start := time.Now()
	for batch := 0; batch < batches; batch++ {
		var ended sync.WaitGroup
		ended.Add(by)
		for i := 0; i < by; i++ {
			go ended.Done()
		}
		ended.Wait()
	}
	return time.Since(start)
}

func pingPong(turns int) time.Duration {
	ping, pong := make(chan uint64, 1), make(chan uint64, 1)
	took := make(chan time.Duration)
	go func() {
		for n := range ping {
			pong <- n
		}
	}()
	go func() {
		start := time.Now()
		for n := 0; n < turns; n++ {
			ping <- uint64(n)
			<-pong
		}
		close(ping)
		took <- time.Since(start)
	}()
	return <-took
}

const messages = 100_000

func stream(room, batches int) time.Duration {
	channel := make(chan uint64, room)
	sum := make(chan uint64)
	start := time.Now()
	go func() {
		for n := 0; n < batches*messages; n++ {
			channel <- uint64(n)
		}
		close(channel)
	}()
	go func() {
		var total uint64
		for n := range channel {
			total += n
		}
		sum <- total
	}()
	sink += <-sum
	return time.Since(start)
}

func sleepers(count, rounds int) time.Duration {
	var ended, ready sync.WaitGroup
	gate := make(chan struct{})
	ended.Add(count)
	ready.Add(count)
	for i := 0; i < count; i++ {
		go func() {
			ready.Done()
			<-gate
			for round := 0; round < rounds; round++ {
				time.Sleep(time.Millisecond)
			}
			ended.Done()
		}()
	}
	ready.Wait()
	start := time.Now()
	close(gate)
	ended.Wait()
	return time.Since(start)
}

// processTime is what this process has taken of the processor.
func processTime() time.Duration {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func sleepersCPU(count int) float64 {
	var ended sync.WaitGroup
	before := processTime()
	ended.Add(count)
	for i := 0; i < count; i++ {
		go func() {
			time.Sleep(2 * time.Second)
			ended.Done()
		}()
	}
	ended.Wait()
	return each(processTime()-before, count)
}

func timeouts(times int) time.Duration {
	start := time.Now()
	for i := 0; i < times; i++ {
		time.NewTimer(10 * time.Second).Stop()
	}
	return time.Since(start)
}

// used is the resident memory and the page tables of this process.
func used() int {
	file, err := os.Open("/proc/self/status")
	check(err)
	defer file.Close()
	total := 0
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if words[0] == "VmRSS:" || words[0] == "VmPTE:" {
			kibibytes, err := strconv.Atoi(words[1])
			check(err)
			total += kibibytes * 1024
		}
	}
	return total
}

func memory(count int) float64 {
	var ready sync.WaitGroup
	gate := make(chan struct{})
	ready.Add(count)
	before := used()
	for i := 0; i < count; i++ {
		go func() {
			ready.Done()
			<-gate
		}()
	}
	ready.Wait()
	return float64(used()-before) / float64(count)
}

func pool(jobs int) float64 {
	var ended sync.WaitGroup
	queue := make(chan int, 100)
	for i := 0; i < 100; i++ {
		ended.Add(1)
		go func() {
			for job := range queue {
				runtime.Gosched()
				runtime.KeepAlive(job)
			}
			ended.Done()
		}()
	}
	start := time.Now()
	for job := 0; job < jobs; job++ {
		queue <- job
	}
	close(queue)
	ended.Wait()
	return each(time.Since(start), jobs)
}

// feed hands out the jobs.
func feed(jobs int) <-chan int {
	queue := make(chan int, 100)
	go func() {
		for job := 0; job < jobs; job++ {
			queue <- job
		}
		close(queue)
	}()
	return queue
}

func poolMap(jobs int) float64 {
	var ended sync.WaitGroup
	results := make([]int, jobs)
	start := time.Now()
	queue := feed(jobs)
	for i := 0; i < 100; i++ {
		ended.Add(1)
		go func() {
			for job := range queue {
				runtime.Gosched()
				results[job] = job
			}
			ended.Done()
		}()
	}
	ended.Wait()
	took := time.Since(start)
	runtime.KeepAlive(results)
	return each(took, jobs)
}

func poolUnordered(jobs int) float64 {
	results := make(chan int, 100)
	start := time.Now()
	queue := feed(jobs)
	for i := 0; i < 100; i++ {
		go func() {
			for job := range queue {
				runtime.Gosched()
				results <- job
			}
		}()
	}
	sum := 0
	for i := 0; i < jobs; i++ {
		sum += <-results
	}
	took := time.Since(start)
	if sum != jobs*(jobs-1)/2 {
		panic("not all results have come")
	}
	return each(took, jobs)
}

func kill(count int) float64 {
	var ended, ready sync.WaitGroup
	watched, cancel := context.WithCancel(context.Background())
	var held int64
	ended.Add(count)
	ready.Add(count)
	for i := 0; i < count; i++ {
		go func() {
			atomic.AddInt64(&held, 1)
			defer ended.Done()
			defer atomic.AddInt64(&held, -1)
			ready.Done()
			<-watched.Done()
		}()
	}
	ready.Wait()
	start := time.Now()
	cancel()
	ended.Wait()
	took := time.Since(start)
	if held != 0 {
		panic("not all have ended")
	}
	return each(took, count)
}

func listen() net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	fmt.Println("port", listener.Addr().(*net.TCPAddr).Port)
	return listener
}

// echo serves; net sets TCP_NODELAY by itself.
func echo() {
	listener := listen()
	for {
		connection, err := listener.Accept()
		check(err)
		go func() {
			defer connection.Close()
			buffer := make([]byte, 1024)
			for {
				got, err := connection.Read(buffer)
				if err != nil {
					return
				}
				if _, err := connection.Write(buffer[:got]); err != nil {
					return
				}
			}
		}()
	}
}

func hello() {
	answer := func(response http.ResponseWriter, _ *http.Request) {
		io.WriteString(response, "Hello, world!")
	}
	check(http.Serve(listen(), http.HandlerFunc(answer)))
}
