/* replay.c: a fuzz target without a fuzzer.
 *
 *     replay_NAME PATH...
 *
 * runs the target on each file, and on the files in each folder. It prints the name of an input before it
 * tries it, so that the last line names the one that failed. */
#define _GNU_SOURCE /* dirent.h and sys/stat.h */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes);

static size_t input_count;

/* Run the target on a file; false where it cannot be read. */
static bool replay_file(const char *path, size_t nbytes) {
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(nbytes ? nbytes : 1);
    const bool complete = file != NULL && data != NULL && fread(data, 1, nbytes, file) == nbytes;
    if (complete) {
        printf("%s\n", path);
        fflush(stdout);
        LLVMFuzzerTestOneInput(data, nbytes);
        input_count++;
    } else {
        perror(path);
    }
    free(data);
    if (file != NULL) fclose(file);
    return complete;
}

/* The same for a file or a folder; hidden files are none of its inputs. */
static bool replay(const char *path) {
    struct stat status;
    if (stat(path, &status) != 0) {
        perror(path);
        return false;
    }
    if (!S_ISDIR(status.st_mode)) return replay_file(path, (size_t)status.st_size);

    DIR *folder = opendir(path);
    bool complete = folder != NULL;
    if (folder == NULL) perror(path);
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        char inside[4096];
        if (entry->d_name[0] == '.') continue;
        const int length = snprintf(inside, sizeof inside, "%s/%s", path, entry->d_name);
        complete = length > 0 && (size_t)length < sizeof inside && replay(inside) && complete;
    }
    if (folder != NULL) closedir(folder);
    return complete;
}

int main(int argc, char **argv) {
    bool complete = true;
    for (int i = 1; i < argc; i++) complete = replay(argv[i]) && complete;
    printf("%zu inputs\n", input_count);
    return complete && input_count > 0 ? 0 : 1;
}
