# The prompt shows this node's role: [master] root@lb1>
# For /etc/profile.d and, through an include, /etc/bash.bashrc. Without the service the prompt stays as it was.

__skd_prompt() {
    local status=$? role=
    # Somebody else changed PS1 since the last prompt: that is the plain one from now on.
    [ "$PS1" = "${__skd_shown-}" ] || __skd_plain=$PS1
    { IFS= read -r role < "${SKD_STATUS_FILE:-/etc/skudonet-ce-cluster.status}"; } 2> /dev/null
    case $role in
        master | backup | fault | standby) PS1="[$role] \\u@\\h> " ;;
        *) PS1=$__skd_plain ;;
    esac
    __skd_shown=$PS1
    return "$status"
}

if [ -n "${BASH_VERSION-}" ]; then
    case $-:${PROMPT_COMMAND-} in
        *i*:*__skd_prompt*) ;;
        *i*:*) PROMPT_COMMAND="__skd_prompt${PROMPT_COMMAND:+; $PROMPT_COMMAND}" ;;
    esac
fi
