// The workloads of `compare` on Boost.Fiber: `peer WORKLOAD SIZE MILLIS` prints the figure.
//
// What each figure includes stands in the heads of the Rust files; this one does the same, with the scheduler and the
// stacks that Boost.Fiber gives by default. It has no sockets, and no way to end a fiber from outside.

#include <boost/fiber/all.hpp>
#include <boost/version.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace fibers = boost::fibers;
using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

static Seconds target;

static double each(Seconds took, double pieces) {
    return took.count() * 1e9 / pieces;
}

static Seconds since(Clock::time_point start) {
    return Clock::now() - start;
}

// What `cost` in measure.rs is.
static double cost(double batch, const std::function<Seconds(std::uint64_t)>& run) {
    std::uint64_t batches = 1;
    Seconds took = run(batches);
    while (took * 4 < target) {
        const double missing = target.count() / 3 / std::max(took.count(), 1e-9);
        batches = static_cast<std::uint64_t>(batches * std::min(16.0, std::max(2.0, missing)));
        took = run(batches);
    }
    batches = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(batches * (target / took)));
    return each(run(batches), batches * batch);
}

static volatile std::uint64_t sink;

[[gnu::noinline]] static std::uint64_t descend(unsigned depth, std::uint64_t seed) {
    std::uint64_t before = seed * 0x9E3779B97F4A7C15;
    before = before << 23 | before >> 41;
    std::uint64_t below = before;
    if (depth == 1) {
        boost::this_fiber::yield();
    } else {
        below = descend(depth - 1, before);
    }
    below ^= seed;
    return below << 7 | below >> 57;
}

static double ring(std::size_t size, unsigned depth) {
    return cost(size, [=](std::uint64_t rounds) {
        Clock::time_point start;
        bool started = false;
        std::vector<fibers::fiber> members;
        members.reserve(size);
        for (std::size_t i = 0; i < size; ++i) {
            members.emplace_back([&] {
                boost::this_fiber::yield();
                if (!started) {
                    started = true;
                    start = Clock::now();
                }
                for (std::uint64_t round = 0; round < rounds; ++round) {
                    if (depth == 0) {
                        boost::this_fiber::yield();
                    } else {
                        sink = descend(depth, 1);
                    }
                }
            });
        }
        for (auto& member : members) {
            member.join();
        }
        return since(start);
    });
}

static double spawn(std::size_t by) {
    return cost(by, [=](std::uint64_t batches) {
        std::vector<fibers::fiber> made;
        made.reserve(by);
        const auto start = Clock::now();
        for (std::uint64_t batch = 0; batch < batches; ++batch) {
            for (std::size_t i = 0; i < by; ++i) {
                made.emplace_back([] { sink = 1; });
            }
            for (auto& fiber : made) {
                fiber.join();
            }
            made.clear();
        }
        return since(start);
    });
}

static double ping_pong() {
    // A ping-pong goes there and back.
    return cost(2, [](std::uint64_t turns) {
        fibers::buffered_channel<std::uint64_t> ping{2}, pong{2};
        fibers::fiber echo{[&] {
            for (std::uint64_t n; ping.pop(n) == fibers::channel_op_status::success;) {
                pong.push(n);
            }
        }};
        Seconds took;
        fibers::fiber play{[&] {
            const auto start = Clock::now();
            for (std::uint64_t n = 0; n < turns; ++n) {
                ping.push(n);
                sink = pong.value_pop();
            }
            took = since(start);
            ping.close();
        }};
        play.join();
        echo.join();
        return took;
    });
}

static double stream() {
    constexpr std::uint64_t messages = 100'000;
    return cost(messages, [](std::uint64_t batches) {
        fibers::buffered_channel<std::uint64_t> channel{128};
        const auto start = Clock::now();
        fibers::fiber sending{[&] {
            for (std::uint64_t n = 0; n < batches * messages; ++n) {
                channel.push(n);
            }
            channel.close();
        }};
        fibers::fiber receiving{[&] {
            std::uint64_t sum = 0;
            for (std::uint64_t n; channel.pop(n) == fibers::channel_op_status::success;) {
                sum += n;
            }
            sink = sum;
        }};
        receiving.join();
        sending.join();
        return since(start);
    });
}

static double sleepers(std::size_t count) {
    return cost(count, [=](std::uint64_t rounds) {
        fibers::promise<void> go;
        auto gone = go.get_future().share();
        std::vector<fibers::fiber> all;
        all.reserve(count);
        for (std::size_t i = 0; i < count; ++i) {
            all.emplace_back([&] {
                gone.wait();
                for (std::uint64_t round = 0; round < rounds; ++round) {
                    boost::this_fiber::sleep_for(std::chrono::milliseconds(1));
                }
            });
        }
        boost::this_fiber::yield();
        const auto start = Clock::now();
        go.set_value();
        for (auto& sleeper : all) {
            sleeper.join();
        }
        return since(start);
    });
}

// The processor's time that this process has taken.
static Seconds process_time() {
    timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return Seconds(static_cast<double>(now.tv_sec) + now.tv_nsec * 1e-9);
}

static double sleepers_cpu(std::size_t count) {
    const Seconds before = process_time();
    std::vector<fibers::fiber> all;
    all.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        all.emplace_back([] { boost::this_fiber::sleep_for(std::chrono::seconds(2)); });
    }
    for (auto& sleeper : all) {
        sleeper.join();
    }
    return each(process_time() - before, count);
}

// The resident memory and the page tables of this process, in bytes.
static double used() {
    std::ifstream status("/proc/self/status");
    double total = 0;
    for (std::string line; std::getline(status, line);) {
        if (line.rfind("VmRSS:", 0) == 0 || line.rfind("VmPTE:", 0) == 0) {
            total += std::atof(line.c_str() + 6) * 1024;
        }
    }
    return total;
}

static double memory(std::size_t count) {
    fibers::promise<void> go;
    auto gone = go.get_future().share();
    std::vector<fibers::fiber> all;
    const double before = used();
    all.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        all.emplace_back([&] { gone.wait(); });
    }
    boost::this_fiber::yield();
    const double figure = (used() - before) / count;
    // Their ends are not waited for.
    std::printf("%f bytes\n", figure);
    std::fflush(stdout);
    std::_Exit(0);
}

static double pool(std::size_t jobs) {
    fibers::buffered_channel<std::size_t> queue{128};
    std::vector<fibers::fiber> workers;
    for (int i = 0; i < 100; ++i) {
        workers.emplace_back([&] {
            for (std::size_t job; queue.pop(job) == fibers::channel_op_status::success;) {
                boost::this_fiber::yield();
                sink = job;
            }
        });
    }
    const auto start = Clock::now();
    for (std::size_t job = 0; job < jobs; ++job) {
        queue.push(job);
    }
    queue.close();
    for (auto& worker : workers) {
        worker.join();
    }
    return each(since(start), jobs);
}

static double pool_map(std::size_t jobs) {
    fibers::buffered_channel<std::size_t> queue{128};
    std::vector<std::size_t> results(jobs);
    std::vector<fibers::fiber> workers;
    const auto start = Clock::now();
    for (int i = 0; i < 100; ++i) {
        workers.emplace_back([&] {
            for (std::size_t job; queue.pop(job) == fibers::channel_op_status::success;) {
                boost::this_fiber::yield();
                results[job] = job;
            }
        });
    }
    for (std::size_t job = 0; job < jobs; ++job) {
        queue.push(job);
    }
    queue.close();
    for (auto& worker : workers) {
        worker.join();
    }
    const auto took = since(start);
    sink = results.back();
    return each(took, jobs);
}

static double pool_unordered(std::size_t jobs) {
    fibers::buffered_channel<std::size_t> queue{128}, results{128};
    std::vector<fibers::fiber> workers;
    const auto start = Clock::now();
    for (int i = 0; i < 100; ++i) {
        workers.emplace_back([&] {
            for (std::size_t job; queue.pop(job) == fibers::channel_op_status::success;) {
                boost::this_fiber::yield();
                results.push(job);
            }
        });
    }
    fibers::fiber feeding{[&] {
        for (std::size_t job = 0; job < jobs; ++job) {
            queue.push(job);
        }
        queue.close();
    }};
    std::uint64_t sum = 0;
    for (std::size_t taken = 0; taken < jobs; ++taken) {
        sum += results.value_pop();
    }
    const auto took = since(start);
    feeding.join();
    for (auto& worker : workers) {
        worker.join();
    }
    sink = sum;
    return each(took, jobs);
}

int main(int, char** arguments) {
    const std::string workload = arguments[1];
    if (workload == "version") {
        std::puts(BOOST_LIB_VERSION);
        return 0;
    }
    const auto size = static_cast<std::size_t>(std::atoll(arguments[2]));
    target = std::chrono::milliseconds(std::atoll(arguments[3]));
    double figure = 0;
    if (workload == "yield") {
        figure = ring(2, static_cast<unsigned>(size));
    } else if (workload == "ring") {
        figure = ring(size, 0);
    } else if (workload == "spawn") {
        figure = spawn(size);
    } else if (workload == "ping-pong") {
        figure = ping_pong();
    } else if (workload == "channel") {
        figure = stream();
    } else if (workload == "sleepers") {
        figure = sleepers(size);
    } else if (workload == "sleepers-cpu") {
        figure = sleepers_cpu(size);
    } else if (workload == "memory") {
        figure = memory(size);
    } else if (workload == "pool") {
        figure = pool(size);
    } else if (workload == "pool-map") {
        figure = pool_map(size);
    } else if (workload == "pool-imap_unordered") {
        figure = pool_unordered(size);
    } else {
        std::fprintf(stderr, "there is no such workload here\n");
        return 1;
    }
    std::printf("%f ns\n", figure);
}
