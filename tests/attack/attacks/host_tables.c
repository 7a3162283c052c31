/* Uses up what all processes of a host share: entries of the connection table, or inotify instances. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int count, char **arguments) {
    if (count == 3 && strcmp(arguments[1], "inotify") == 0) {
        int taken = 0;
        for (int left = atoi(arguments[2]); left > 0; left--)
            taken += inotify_init() >= 0;
        printf("took %d instances\n", taken);
        fflush(stdout);
        sleep(600);
        return 0;
    }
    if (count != 4)
        return 2;
    /* A datagram to another port is another connection to the kernel. */
    int from = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET};
    inet_pton(AF_INET, arguments[2], &to.sin_addr);
    int a_second = atoi(arguments[3]);
    for (unsigned sent = 0;; sent++) {
        if (sent % (a_second / 4) == 0) {
            printf("sent %u\n", sent);
            fflush(stdout);
        }
        to.sin_port = htons(1 + sent % 65535);
        if (sent % 65535 == 65534) {
            close(from);
            from = socket(AF_INET, SOCK_DGRAM, 0);
        }
        sendto(from, "x", 1, 0, (struct sockaddr *)&to, sizeof to);
        if (sent % (a_second / 100) == 0)
            usleep(10000);
    }
}
