# The first process of a server: `launch.sh RUN` runs RUN/start.sh in a process group of its own, known by RUN/pid.
cd "$1" || exit 1
echo "$$" >pid.new
mv pid.new pid
# What ends the group is for the server; this shell waits until it has ended.
trap : HUP INT QUIT TERM
sh start.sh >>output 2>&1 </dev/null
