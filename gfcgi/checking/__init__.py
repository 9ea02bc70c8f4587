"""Why a script or a running application gives no page: what ``gfcgi check`` finds out.

::

    run                             which checks, in which order, within one minute
      ├ files, interpreter, source  what can be read on disk before anything is started
      ├ trial                       starts it as Apache does, asks it, stops it
      │   ├ processes               a process with the rights and the environment that Apache gives
      │   ├ said                    what the process said, and what that means
      │   └ inside                  in a second process: watches the application as it answers
      ├ sockets                     an application that listens already
      ├ confinement                 SELinux, AppArmor
      └ website                     the real Web server's answer beside the application's

Each check is small, takes what it looks at, and gives findings; ``findings`` says what one is.
Nothing is imported here: ``inside`` is part of the process that is looked at.
"""
