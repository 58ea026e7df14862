import { type DynamicModule, Module } from '@nestjs/common';
import { ConfigModule, registerAs } from '@nestjs/config';
import { type Settings } from './settings.js';

/** Injection token of the frozen `Settings`. */
export const SETTINGS = Symbol('SETTINGS');

/**
 * Hands out our own frozen object and not `ConfigService`, which merges undeclared variables back in. The settings are
 * an argument, so that two replicas can live in one process.
 */
@Module({})
export class SettingsModule {
  static forRoot(settings: Settings): DynamicModule {
    const namespace = registerAs('settings', () => settings);
    return {
      module: SettingsModule,
      global: true,
      imports: [ConfigModule.forRoot({ ignoreEnvFile: true, cache: true, load: [namespace] })],
      providers: [{ provide: SETTINGS, useExisting: namespace.KEY }],
      exports: [SETTINGS],
    };
  }
}
