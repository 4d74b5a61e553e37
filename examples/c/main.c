/*
 * A C program with a poll(2) loop of its own, in which greenlets run. A greenlet reads from a pipe,
 * another one writes to it with pauses, and the loop does the rest of its work in between.
 *
 *     cargo build --release -p ramie-c
 *     cc -D_POSIX_C_SOURCE=200809L -o c-example examples/c/main.c target/release/libramie_c.a -lpthread -ldl -lm
 *     ./c-example
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ramie.h"

#define MILLISECOND 1000000u

static int received;
static int interrupted;

/* Reads what arrives, until the other end is closed. */
static void reader(void *argument)
{
    int fd = *(int *)argument;
    char byte;

    while (ramie_wait_readable(fd) == RAMIE_OK && read(fd, &byte, 1) == 1) {
        received++;
        printf("  reader: '%c'\n", byte);
    }
    close(fd);
}

/* Writes a word, one byte in five milliseconds. */
static void writer(void *argument)
{
    int fd = *(int *)argument;
    const char *word = "ramie";

    for (size_t i = 0; i < strlen(word); i++) {
        if (ramie_sleep(5 * MILLISECOND) != RAMIE_OK)
            break;
        if (write(fd, &word[i], 1) != 1)
            break;
    }
    close(fd);
}

static void yielder(void *argument)
{
    int *turns = argument;

    for (int i = 0; i < 3; i++) {
        (*turns)++;
        if (ramie_yield() != RAMIE_OK)
            interrupted++;
    }
}

int main(void)
{
    int ends[2];
    int turns = 0;
    int iterations = 0;

    if (ramie_open() != RAMIE_OK || pipe(ends) != 0) {
        perror("c-example");
        return 1;
    }
    ramie_spawn(reader, &ends[0]);
    ramie_spawn(writer, &ends[1]);
    ramie_spawn(yielder, &turns);

    while (ramie_greenlets() > 0) {
        struct pollfd fds[1] = {{.fd = ramie_fd(), .events = POLLIN, .revents = 0}};
        int64_t wait = -1;

        iterations++;
        switch (ramie_poll_once()) {
        case RAMIE_NOW:
            wait = 0;
            break;
        case RAMIE_AT:
            wait = ramie_timeout();
            break;
        case RAMIE_IDLE:
            if (ramie_greenlets() == 0)
                continue;
            break;
        default:
            fprintf(stderr, "c-example: interrupted\n");
            return 1;
        }
        /* Rounded up: a loop that wakes too early would spin until the deadline. */
        if (poll(fds, 1, wait < 0 ? -1 : (int)((wait + MILLISECOND - 1) / MILLISECOND)) < 0) {
            perror("c-example: poll");
            return 1;
        }
    }
    printf("%d bytes, %d turns, %s\n", received, turns, iterations >= 6 ? "many iterations" : "few iterations");
    return received == 5 && turns == 3 && interrupted == 0 ? 0 : 1;
}
