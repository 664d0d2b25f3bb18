# shellcheck shell=bash
# Servers that a test starts, in $DIR, and ends by the ids that it wrote there: source it.

alive() { [ -s "$DIR/$1.pid" ] && kill -0 "$(cat "$DIR/$1.pid")" 2>/dev/null; }
spawn() { # spawn NAME COMMAND…
    local name=$1
    shift
    alive "$name" && return
    setsid "$@" >>"$DIR/log/$name.out" 2>&1 </dev/null &
    echo $! >"$DIR/$name.pid"
}
end() { # end NAME SIGNAL SECONDS
    local tries=$(($3 * 10))
    alive "$1" || { rm -f "$DIR/$1.pid"; return 0; }
    kill -"$2" "$(cat "$DIR/$1.pid")"
    while alive "$1" && [ $((tries -= 1)) -gt 0 ]; do sleep 0.1; done
    ! alive "$1" || kill -KILL "$(cat "$DIR/$1.pid")"
    rm -f "$DIR/$1.pid"
}
answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
wait_for() { # wait_for NAME PORT SECONDS
    local tries=$(($3 * 10))
    until answers "$2"; do
        [ $((tries -= 1)) -gt 0 ] && alive "$1" || { tail -n 5 "$DIR/log/$1.out" >&2; die "$1 does not answer"; }
        sleep 0.1
    done
}
