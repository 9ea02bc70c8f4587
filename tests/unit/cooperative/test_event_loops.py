"""gfcgi.cooperative.event_loops: a running loop belongs to its greenlet."""

from __future__ import annotations

BEGIN = "import asyncio, gevent, threading, time\n"


def test_a_loop_in_each_greenlet_and_in_the_threads_of_a_loop(patched):
    script = BEGIN + (
        "async def inner(number):\n"
        "    await asyncio.sleep(0.01)\n"
        "    return number\n"
        "async def outer(number):\n"
        "    loop, task = asyncio.get_running_loop(), asyncio.current_task()\n"
        "    time.sleep(0.01)\n"  # blocks in a coroutine: the others go on
        "    found = await asyncio.to_thread(lambda: asyncio.run(inner(number)))\n"
        "    assert (loop, task) == (asyncio.get_running_loop(), asyncio.current_task())\n"
        "    return found\n"
        "runs = [gevent.spawn(asyncio.run, outer(number)) for number in range(5)]\n"
        "print(*[run.get() for run in runs])\n"
        "print(asyncio.run(inner(7)))\n"
        "try: asyncio.get_running_loop()\n"
        "except RuntimeError: print('none')\n"
    )
    assert patched(script) == ["0", "1", "2", "3", "4", "7", "none"]


def test_others_find_no_running_loop_while_one_waits(patched):
    script = BEGIN + (
        "seen = []\n"
        "def look():\n"
        "    try: seen.append(asyncio.get_running_loop())\n"
        "    except RuntimeError: seen.append(None)\n"
        "async def waiting():\n"
        "    await asyncio.sleep(0.05)\n"
        "    time.sleep(0.05)\n"
        "run = gevent.spawn(asyncio.run, waiting())\n"
        "for _ in range(8):\n"
        "    gevent.sleep(0.01); look()\n"
        "run.join()\n"
        "print(set(seen))\n"
    )
    assert patched(script) == ["{None}"]


def test_a_second_loop_in_the_same_greenlet_is_refused_as_ever(patched):
    script = BEGIN + (
        "async def nothing(): pass\n"
        "async def twice():\n"
        "    inner = nothing()\n"
        "    try: asyncio.run(inner)\n"
        "    except RuntimeError as error: print('refused')\n"
        "    inner.close()\n"
        "    loop = asyncio.new_event_loop()\n"
        "    inner = nothing()\n"
        "    try: loop.run_until_complete(inner)\n"
        "    except RuntimeError as error: print('refused')\n"
        "    inner.close(); loop.close()\n"
        "asyncio.run(twice())\n"
        "gevent.spawn(asyncio.run, twice()).join()\n"
    )
    assert patched(script) == ["refused"] * 4


def test_what_ends_the_greenlet_cancels_the_tasks_in_their_loop(patched):
    script = BEGIN + (
        "async def endless(wait):\n"
        "    try:\n"
        "        if wait: await asyncio.sleep(60)\n"
        "        else: time.sleep(60)\n"
        "    finally:\n"
        "        await asyncio.sleep(0)\n"
        "        print(asyncio.get_running_loop().is_running())\n"
        "for wait in True, False:\n"
        "    run = gevent.spawn(asyncio.run, endless(wait))\n"
        "    gevent.sleep(0.05)\n"
        "    run.kill(timeout=5)\n"
        "    print(run.dead)\n"
        "with gevent.Timeout(0.05, False):\n"
        "    asyncio.run(endless(True))\n"
        "print('switch' in vars(gevent.getcurrent()))\n"
    )
    assert patched(script) == ["True"] * 5 + ["False"]


def test_loops_of_ones_own_subprocesses_and_signals(patched):
    script = BEGIN + (
        "import signal, os\n"
        "async def child():\n"
        "    process = await asyncio.create_subprocess_exec('sh', '-c', 'echo out; exit 3',\n"
        "        stdout=asyncio.subprocess.PIPE)\n"
        "    out, _ = await process.communicate()\n"
        "    return out.decode().strip(), process.returncode\n"
        "def run():\n"
        "    loop = asyncio.new_event_loop()\n"
        "    found = loop.run_until_complete(child())\n"
        "    loop.close()\n"
        "    return found\n"
        "for run in [gevent.spawn(run) for _ in range(3)]: print(*run.get())\n"
        "async def signalled():\n"
        "    told = asyncio.Event()\n"
        "    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, told.set)\n"
        "    os.kill(os.getpid(), signal.SIGUSR2)\n"
        "    await asyncio.wait_for(told.wait(), 10)\n"
        "    print('told')\n"
        "asyncio.run(signalled())\n"
    )
    assert patched(script) == ["out", "3"] * 3 + ["told"]


def test_a_server_and_its_clients_in_loops_of_their_own(patched):
    script = BEGIN + (
        "async def echo(reader, writer):\n"
        "    writer.write(await reader.readline()); await writer.drain(); writer.close()\n"
        "async def serve():\n"
        "    server = await asyncio.start_unix_server(echo, 'echo.sock')\n"
        "    async with server: await asyncio.sleep(60)\n"
        "async def ask(number):\n"
        "    reader, writer = await asyncio.open_unix_connection('echo.sock')\n"
        "    writer.write(b'%d\\n' % number)\n"
        "    line = await reader.readline()\n"
        "    writer.close()\n"
        "    return int(line)\n"
        "server = gevent.spawn(asyncio.run, serve())\n"
        "gevent.sleep(0.1)\n"
        "asking = [gevent.spawn(asyncio.run, ask(n)) for n in range(10)]\n"
        "print(sum(a.get(timeout=20) for a in asking))\n"
        "server.kill()\n"
    )
    assert patched(script) == ["45"]


def test_a_runner_keeps_its_loop(patched):
    script = BEGIN + (
        "import sys, contextvars\n"
        "number = contextvars.ContextVar('number')\n"
        "async def set_it(value): number.set(value)\n"
        "async def get_it():\n"
        "    await asyncio.sleep(0.01)\n"
        "    return number.get(), asyncio.get_running_loop()\n"
        "def run(value):\n"
        "    if sys.version_info < (3, 11): return value\n"
        "    with asyncio.Runner() as runner:\n"
        "        runner.run(set_it(value))\n"
        "        first, second = runner.run(get_it()), runner.run(get_it())\n"
        "    assert first == second\n"
        "    return first[0]\n"
        "print(*[run.get() for run in [gevent.spawn(run, n) for n in range(3)]])\n"
    )
    assert patched(script) == ["0", "1", "2"]


def test_context_variables_and_thread_local_data_are_the_callers(patched):
    script = BEGIN + (
        "import contextvars\n"
        "number, local = contextvars.ContextVar('number'), threading.local()\n"
        "async def read():\n"
        "    await asyncio.sleep(0.01)\n"
        "    return number.get(), await asyncio.to_thread(number.get), local.number\n"
        "def run(value):\n"
        "    number.set(value); local.number = value\n"
        "    return asyncio.run(read())\n"
        "for run in [gevent.spawn(run, n) for n in range(3)]: print(*run.get())\n"
    )
    assert patched(script) == list("000111222")
