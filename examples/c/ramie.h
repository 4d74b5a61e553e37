/*
 * Greenlets for a C program with a loop of its own.
 *
 * Each thread has a hub of its own; a call is about the hub of its thread. The loop calls
 * ramie_poll_once(), and waits until ramie_fd() is readable or ramie_timeout() is over. Code that
 * spawns between two iterations calls ramie_poll_once() before it waits.
 *
 * No call may be made from a signal handler. A function called where it must not be ends the process
 * with a message.
 */
#ifndef RAMIE_H
#define RAMIE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The wait is over as asked. */
#define RAMIE_OK 0
/* The greenlet was killed, or main was interrupted: the caller should clean up and return. */
#define RAMIE_INTERRUPTED 1
/* The system refused; errno has the reason. */
#define RAMIE_ERROR (-1)

/* The values of ramie_poll_once(), apart from RAMIE_INTERRUPTED_MAIN. */
#define RAMIE_NOW 0
#define RAMIE_AT 1
#define RAMIE_IDLE 2
#define RAMIE_INTERRUPTED_MAIN 3

/* Creates the hub of this thread, if there is none. Returns RAMIE_OK or RAMIE_ERROR. */
int ramie_open(void);

/* Spawns a greenlet that calls body(argument) in the next iteration. */
void ramie_spawn(void (*body)(void *argument), void *argument);

/* For greenlets: wait for a time, for the other greenlets' turns, or until a descriptor may be read.
 * Return RAMIE_OK, RAMIE_INTERRUPTED or, the last one, RAMIE_ERROR. */
int ramie_sleep(uint64_t nanoseconds);
int ramie_yield(void);
int ramie_wait_readable(int fd);

/* For the loop: runs one iteration and never blocks. Returns
 * RAMIE_NOW   if it must be called again at once,
 * RAMIE_AT    if it must be called after ramie_timeout() nanoseconds,
 * RAMIE_IDLE  if it must be called only when ramie_fd() is readable,
 * RAMIE_INTERRUPTED_MAIN  if an exception for the thread's main greenlet has ended the iteration. */
int ramie_poll_once(void);

/* Returns the time to the earliest deadline in nanoseconds, 0 if it has passed, or -1 if there is no
 * deadline. */
int64_t ramie_timeout(void);

/* Returns the descriptor of the hub, for poll(2) and its kind. It belongs to the hub. */
int ramie_fd(void);

/* Returns the number of greenlets that have not ended. */
uint64_t ramie_greenlets(void);

#ifdef __cplusplus
}
#endif

#endif
