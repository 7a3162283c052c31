/* Takes all that the kernel counts for a user: inotify instances, keys, threads; and tries to raise each limit. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *wait_for_ever(void *nothing) {
    pause();
    return nothing;
}

int main(int count, char **arguments) {
    int most = count > 1 ? atoi(arguments[1]) : 10;
    int inotify = 0, keys = 0, threads = 0, raised = 0;
    while (inotify < most && inotify_init() >= 0)
        inotify++;
    char name[32];
    while (keys < most && snprintf(name, sizeof name, "stoker%d", keys) &&
           syscall(SYS_add_key, "user", name, "x", (size_t)1, -4) >= 0)
        keys++;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 16384);
    pthread_t thread;
    while (threads < most && pthread_create(&thread, &small, wait_for_ever, NULL) == 0)
        threads++;
    for (int resource = 0; resource < RLIM_NLIMITS; resource++) {
        struct rlimit now, wanted = {RLIM_INFINITY, RLIM_INFINITY};
        getrlimit(resource, &now);
        raised += now.rlim_max != RLIM_INFINITY && setrlimit(resource, &wanted) == 0;
    }
    printf("took inotify=%d keys=%d threads=%d raised=%d\n", inotify, keys, threads, raised);
    fflush(stdout);
    if (most > 10)
        sleep(600);
    return 0;
}
