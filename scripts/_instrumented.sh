# A Python with a pynn that has AddressSanitizer and UndefinedBehaviorSanitizer, for scripts/check and
# scripts/fuzz, which read this file; `python` is the one whose packages it takes.

# instrumented_python: make a virtual environment in build/check-python with an instrumented pynn, and
# the packages of the environment that we run in. Leaves `runtime`, the sanitizers' library.
instrumented_python() {
    local venv=build/check-python packages
    runtime=$(${CC:-cc} -print-file-name=libasan.so)
    [[ $runtime == /* ]] || { echo 'needs GCC and its libasan'; return 1; }
    rm -rf "$venv"
    "$python" -m venv --without-pip "$venv" || return
    packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    # As lines of a .pth file the folders are searched, but their own .pth files are not read: of these
    # one may import an editable pynn instead of ours.
    "$python" -c 'import sys; print(*(p for p in sys.path if p.endswith("-packages")), sep="\n")' \
        >"$packages/tools.pth"
    "$python" -m pip --quiet --disable-pip-version-check --python "$venv/bin/python" install \
        --no-deps --no-build-isolation --no-index --ignore-installed . \
        -Csetup-args=-Dblas=reference -Csetup-args=-Dbuildtype=debugoptimized \
        -Csetup-args=-Db_sanitize=address,undefined
}

# sanitized NAME ARGUMENT...: become the Python of build/check-python. Its reports are named after its
# process, whose number goes to NAME.pid. Python is not instrumented: the library goes in first, and
# memory comes from malloc(), so that AddressSanitizer sees all of it. A leak, such as Python's, ends
# nothing, but any error aborts. intercept_tls_get_addr=0: otherwise GCC's runtime before 14 takes some
# variables of a thread for a header that glibc no longer writes, and LeakSanitizer reads at random.
sanitized() {
    echo "$BASHPID" >"build/check-python/$1.pid"
    shift
    exec env LD_PRELOAD="$runtime" PYTHONMALLOC=malloc \
        ASAN_OPTIONS=abort_on_error=1:allocator_may_return_null=1:intercept_tls_get_addr=0 \
        LSAN_OPTIONS="exitcode=0:log_path=$PWD/build/check-python/report" \
        UBSAN_OPTIONS=halt_on_error=1:abort_on_error=1:print_stacktrace=1 \
        build/check-python/bin/python "$@"
}
