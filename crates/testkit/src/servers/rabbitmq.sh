# Runs RabbitMQ in the current folder as a node of its own. What Debian installs as `rabbitmq-server` is a wrapper for
# the system's node; the real script is below /usr/lib.
sbin=
for found in /usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin; do sbin=$found; done
if [ ! -x "$sbin/rabbitmq-server" ]; then
    echo "RabbitMQ is not installed: apt-get install rabbitmq-server, without starting its service"
    exit 1
fi
run=$PWD
mkdir -p home mnesia log
echo '[rabbitmq_management].' >enabled_plugins
cat >rabbitmq.conf <<CONF
listeners.tcp.default = 127.0.0.1:$AMQP_PORT
management.tcp.ip = 127.0.0.1
management.tcp.port = $API_PORT
vm_memory_high_watermark.absolute = 1GB
disk_free_limit.absolute = 50MB
log.console = false
log.file.level = info
CONF
cat >environment <<ENVIRONMENT
export HOME=$run/home
export RABBITMQ_NODENAME=onhand@localhost
export RABBITMQ_NODE_IP_ADDRESS=127.0.0.1
export RABBITMQ_NODE_PORT=$AMQP_PORT
export RABBITMQ_DIST_PORT=$DISTRIBUTION_PORT
export ERL_EPMD_PORT=$EPMD_PORT
export ERL_EPMD_ADDRESS=127.0.0.1
export RABBITMQ_MNESIA_BASE=$run/mnesia
export RABBITMQ_LOG_BASE=$run/log
export RABBITMQ_PID_FILE=$run/rabbit.pid
export RABBITMQ_ENABLED_PLUGINS_FILE=$run/enabled_plugins
export RABBITMQ_CONFIG_FILE=$run/rabbitmq.conf
export RABBITMQ_CONF_ENV_FILE=$run/none
export RABBITMQ_FEATURE_FLAGS_FILE=$run/feature_flags
# Idle schedulers sleep instead of spinning: other tests need the processor.
export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none"
ENVIRONMENT
. ./environment
echo "$sbin/rabbitmqctl" >control
# The node's name server, in the foreground and so in our process group: where the node finds none it starts a daemon,
# which would outlive it. After a kill the one before may answer for a moment and hold the port, so it has to be ours that
# is still there a moment after an answer.
names=
while :; do
    if [ -z "$names" ] || [ ! -e "/proc/$names/exe" ]; then
        epmd -port "$EPMD_PORT" -address 127.0.0.1 &
        names=$!
    fi
    if epmd -port "$EPMD_PORT" -names >/dev/null; then
        sleep 0.1
        [ -e "/proc/$names/exe" ] && break
    fi
    sleep 0.02
done
"$sbin/rabbitmq-server"
